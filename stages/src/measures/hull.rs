//! The cost–quality hull. Takes (cost, quality) points; gives their non-decreasing concave hull and the area under it.

/// Returns the corners of the non-decreasing hull of (cost, quality) points, by rising cost: the upper concave hull, up to its highest point.
#[must_use]
pub fn corners(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0).then(right.1.total_cmp(&left.1)));
    // Of points with equal costs, the first has the highest quality.
    sorted.dedup_by(|next, kept| next.0.total_cmp(&kept.0).is_eq());
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for point in sorted {
        while let [.., first, second] = corners[..] {
            if (second.1 - first.1) * (point.0 - first.0) > (point.1 - first.1) * (second.0 - first.0) {
                break;
            }
            corners.pop();
        }
        corners.push(point);
    }
    let mut best = f64::NEG_INFINITY;
    corners.retain(|corner| {
        let rises = corner.1 > best;
        best = best.max(corner.1);
        rises
    });
    corners
}

/// Returns the mean height of the hull between two costs (`RouterBench`'s AIQ). The hull is extended by a line to (0, 0) on the left, and is
/// flat on the right.
///
/// `None` without points, or if `high` is not above `low`.
#[must_use]
pub fn area(points: &[(f64, f64)], low: f64, high: f64) -> Option<f64> {
    let corners = corners(points);
    if corners.is_empty() || high <= low {
        return None;
    }
    let inside = corners.iter().map(|corner| corner.0).filter(|cost| low < *cost && *cost < high);
    let costs: Vec<f64> = std::iter::once(low).chain(inside).chain([high]).collect();
    let area: f64 = costs
        .windows(2)
        .map(|pair| f64::midpoint(height(&corners, pair[0]), height(&corners, pair[1])) * (pair[1] - pair[0]))
        .sum();
    Some(area / (high - low))
}

/// Returns the hull's quality at a cost.
fn height(corners: &[(f64, f64)], cost: f64) -> f64 {
    let first = corners[0];
    if cost <= first.0 {
        return if first.0 > 0.0 { first.1 * cost / first.0 } else { first.1 };
    }
    let right = corners.partition_point(|corner| corner.0 < cost);
    match corners.get(right) {
        Some(next) => {
            let last = corners[right - 1];
            last.1 + (next.1 - last.1) * (cost - last.0) / (next.0 - last.0)
        }
        None => corners[right - 1].1,
    }
}

#[cfg(test)]
mod tests {
    //! Expected values: an independent implementation in numpy, on the same inputs.
    use super::*;

    fn near(found: Option<f64>, wanted: f64) {
        assert!(found.is_some_and(|found| (found - wanted).abs() < 1e-12), "{found:?} is not {wanted}");
    }

    #[test]
    fn hull_drops_what_is_below_or_falls() {
        let points = [(1.0, 0.2), (1.0, 0.3), (2.0, 0.5), (3.0, 0.55), (4.0, 0.5), (2.5, 0.2), (5.0, 0.7), (6.0, 0.6)];
        assert_eq!(corners(&points), [(1.0, 0.3), (2.0, 0.5), (5.0, 0.7)]);
        near(area(&points, 0.5, 7.0), 0.571_153_846_153_846_1);
        near(area(&points, 2.0, 4.0), 0.566_666_666_666_666_7);
        near(area(&[(0.0, 0.4), (1.0, 0.3)], 0.0, 2.0), 0.4);
        assert_eq!(area(&points, 2.0, 2.0), None);
        assert_eq!(area(&[], 0.0, 1.0), None);
    }
}
