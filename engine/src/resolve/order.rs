//! The order of stages. Takes wires; gives an order with producers first, or the mistakes of the cycles.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::{
    algo::{tarjan_scc, toposort},
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef as _,
};

use super::{Checker, Wire, quoted};

impl Checker<'_> {
    pub(super) fn order(&mut self, wires: &[BTreeMap<String, Wire>]) -> Vec<usize> {
        let mut graph = DiGraph::<(), &str>::new();
        let nodes: Vec<NodeIndex> = wires.iter().map(|_| graph.add_node(())).collect();
        for (consumer, wires) in wires.iter().enumerate() {
            for (port, wire) in wires {
                if let Wire::Stage { stage, .. } = wire {
                    graph.add_edge(nodes[*stage], nodes[consumer], port);
                }
            }
        }
        if let Ok(order) = toposort(&graph, None) {
            return order.into_iter().map(NodeIndex::index).collect();
        }
        for cycle in tarjan_scc(&graph) {
            let inside: BTreeSet<_> = cycle.into_iter().collect();
            let edges: Vec<_> = graph
                .edge_references()
                .filter(|edge| inside.contains(&edge.source()) && inside.contains(&edge.target()))
                .map(|edge| {
                    let (from, to) = (&self.manifest.stages[edge.source().index()], &self.manifest.stages[edge.target().index()]);
                    (to.input_path(edge.weight()), format!("`{}` takes an input from `{}`", to.name, from.name))
                })
                .collect();
            let Some(((first, label), rest)) = edges.split_first() else { continue };
            let names = inside.iter().map(|node| self.manifest.stages[node.index()].name.as_str());
            let message = match inside.len() {
                1 => format!("{} depends on itself", quoted(names)),
                _ => format!("{} depend on each other", quoted(names)),
            };
            let mut mistake =
                self.manifest.mistake_at_value(first, "cycle", message).label(label.as_str()).help("remove one of these wires");
            for (path, text) in rest {
                for label in self.manifest.value_labels(path).into_iter().take(1) {
                    mistake = mistake.also_here(label.span, text.as_str());
                }
            }
            self.mistakes.push(mistake);
        }
        Vec::new()
    }
}
