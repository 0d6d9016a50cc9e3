//! Products of matrices by NVIDIA's cuBLASLt. Takes tensors `[.., rows, columns]` of bfloat16 or f32; gives their product, summed in f32.
//!
//! Unlike burn's, its kernels use the tensor cores of each generation (Hopper's `wgmma`), and its f32 is f32, where burn's may be rounded to 19
//! bits.
#![expect(unsafe_code, reason = "a C library is called")]

use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::c_void,
    ptr,
};

use burn::{
    backend::TensorMetadata as _,
    tensor::{DType, Shape},
};
use burn_cubecl::{ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor};
use cudarc::{
    cublaslt::{result as lt, sys as lt_sys},
    driver::sys,
};

use super::{
    memory::{Memory, memory},
    operand::Operand,
    run,
};

/// Bytes of the library's workspace, as NVIDIA recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

/// Computes the sum of `scale * left * right` over the terms. Each matrix is transposed if `flipped` says so. Returns nothing if the library is
/// missing or cannot compute it.
pub(in super::super) fn sum_of_products(terms: Vec<[Operand; 2]>, scales: &[f32], flipped: [bool; 2]) -> Option<Operand> {
    let [Operand(left), Operand(right)] = terms.first()?;
    let kind = kind(left.dtype).filter(|_| terms.iter().flatten().all(|Operand(factor)| factor.dtype == left.dtype))?;
    let shape = shape_of([&left.shape(), &right.shape()], flipped);
    let output = empty_device_contiguous_dtype(left.client.clone(), left.device.clone(), shape, left.dtype);
    let terms: Vec<[Laid; 2]> =
        terms.into_iter().map(|[left, right]| [Laid::of(left, flipped[0]), Laid::of(right, flipped[1])]).collect();
    let into = Laid::of(Operand(output.clone()), false);
    run(&output, |side| {
        let into = into.found()?;
        let terms = terms.iter().map(|[left, right]| Some([left.found()?, right.found()?])).collect::<Option<Vec<_>>>()?;
        side.products.add(&terms, scales, &into, kind, side.stream.raw)
    })?;
    Some(Operand(output))
}

/// Returns the shape of a product.
fn shape_of([left, right]: [&Shape; 2], flipped: [bool; 2]) -> Shape {
    let rank = left.num_dims();
    let mut shape = left.clone();
    shape[rank - 2] = left[if flipped[0] { rank - 1 } else { rank - 2 }];
    shape[rank - 1] = right[if flipped[1] { rank - 2 } else { rank - 1 }];
    shape
}

fn kind(dtype: DType) -> Option<lt_sys::cudaDataType> {
    match dtype {
        DType::BF16 => Some(lt_sys::cudaDataType::CUDA_R_16BF),
        DType::F32 => Some(lt_sys::cudaDataType::CUDA_R_32F),
        _ => None,
    }
}

/// The layout of matrices in memory, in the library's terms: column-major, so that the elements of a column are adjacent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Layout {
    rows: u64,
    columns: u64,
    leading: i64,
    count: i32,
    step: i64,
    /// Whether the matrix is transposed in the product.
    transposed: bool,
}

/// A tensor with its layout.
struct Laid {
    tensor: CubeTensor,
    layout: Layout,
}

/// A layout with its memory.
struct Found {
    memory: Memory,
    layout: Layout,
}

impl Laid {
    fn of(operand: Operand, flipped: bool) -> Self {
        if let Some(layout) = Layout::of(&operand.0, flipped) {
            return Self { tensor: operand.0, layout };
        }
        let tensor = operand.dense();
        let layout = Layout::of(&tensor, flipped).expect("matrices that lie one after another have a layout");
        Self { tensor, layout }
    }

    fn found(&self) -> Option<Found> {
        Some(Found { memory: memory(&self.tensor)?, layout: self.layout })
    }
}

impl Layout {
    fn of(tensor: &CubeTensor, flipped: bool) -> Option<Self> {
        let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
        let rank = shape.num_dims();
        let [rows, columns] = [shape[rank - 2], shape[rank - 1]];
        let [by_row, by_column] = [strides[rank - 2], strides[rank - 1]];
        // A row-major matrix is the column-major layout of its transpose.
        let (fast, slow, leading, transposed) = if (by_column == 1 || columns == 1) && (by_row >= columns || rows == 1) {
            (columns, rows, by_row.max(columns), flipped)
        } else if by_row == 1 && by_column >= rows {
            (rows, columns, by_column, !flipped)
        } else {
            return None;
        };
        let (mut count, mut step) = (1, 0);
        for dimension in (0..rank - 2).rev().filter(|&dimension| shape[dimension] > 1) {
            match count {
                1 => step = strides[dimension],
                _ if strides[dimension] == step * count => {}
                _ => return None,
            }
            count *= shape[dimension];
        }
        Some(Self {
            rows: fast as u64,
            columns: slow as u64,
            leading: leading as i64,
            count: i32::try_from(count).ok()?,
            step: step as i64,
            transposed,
        })
    }
}

/// The properties of a product by which the library chooses a kernel.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Problem {
    left: Layout,
    right: Layout,
    into: Layout,
    kind: lt_sys::cudaDataType,
    /// The number of bytes that all addresses are multiples of.
    alignment: u32,
}

/// The library's way to compute a problem.
#[derive(Clone, Copy)]
struct Plan {
    product: lt_sys::cublasLtMatmulDesc_t,
    left: lt_sys::cublasLtMatrixLayout_t,
    right: lt_sys::cublasLtMatrixLayout_t,
    into: lt_sys::cublasLtMatrixLayout_t,
    algorithm: lt_sys::cublasLtMatmulAlgo_t,
}

/// The library, opened on one device.
pub(super) struct Products {
    handle: lt_sys::cublasLtHandle_t,
    workspace: sys::CUdeviceptr,
    plans: HashMap<Problem, Option<Plan>>,
}

impl Products {
    /// Opens the library on the device of the thread's current context.
    pub(super) fn open() -> Option<Self> {
        let handle = lt::create_handle().ok()?;
        let mut workspace = 0;
        // SAFETY: the driver writes one address to the pointer that it is given.
        unsafe { sys::cuMemAlloc_v2(&raw mut workspace, WORKSPACE).result().ok()? };
        Some(Self { handle, workspace, plans: HashMap::new() })
    }

    /// Queues the products on a stream: the first is written, and the others are added.
    fn add(
        &mut self,
        terms: &[[Found; 2]],
        scales: &[f32],
        into: &Found,
        kind: lt_sys::cudaDataType,
        stream: sys::CUstream,
    ) -> Option<()> {
        let plans = terms.iter().map(|[left, right]| self.plan(left, right, into, kind)).collect::<Option<Vec<Plan>>>()?;
        for (index, (([left, right], plan), scale)) in terms.iter().zip(&plans).zip(scales).enumerate() {
            let sum: f32 = if index == 0 { 0.0 } else { 1.0 };
            // SAFETY: the descriptors are alive, and describe the memory that `terms` and `into` keep alive.
            unsafe {
                lt::matmul(
                    self.handle,
                    plan.product,
                    ptr::from_ref(scale).cast(),
                    (&raw const sum).cast(),
                    right.memory.address as *const c_void,
                    plan.right,
                    left.memory.address as *const c_void,
                    plan.left,
                    into.memory.address as *const c_void,
                    plan.into,
                    into.memory.address as *mut c_void,
                    plan.into,
                    &raw const plan.algorithm,
                    self.workspace as *mut c_void,
                    WORKSPACE,
                    stream.cast(),
                )
                .ok()?;
            }
        }
        Some(())
    }

    fn plan(&mut self, left: &Found, right: &Found, into: &Found, kind: lt_sys::cudaDataType) -> Option<Plan> {
        let addresses = left.memory.address | right.memory.address | into.memory.address;
        let problem = Problem {
            left: left.layout,
            right: right.layout,
            into: into.layout,
            kind,
            alignment: 1 << addresses.trailing_zeros().min(8),
        };
        match self.plans.entry(problem) {
            Entry::Occupied(plan) => *plan.get(),
            Entry::Vacant(place) => {
                let plan = Plan::new(self.handle, place.key());
                *place.insert(plan)
            }
        }
    }
}

impl Plan {
    fn new(handle: lt_sys::cublasLtHandle_t, problem: &Problem) -> Option<Self> {
        use lt_sys::cublasLtMatmulDescAttributes_t::{CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB};
        use lt_sys::cublasLtMatmulPreferenceAttributes_t as Preference;

        let product =
            lt::create_matmul_desc(lt_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, lt_sys::cudaDataType::CUDA_R_32F).ok()?;
        let [left, right, into] = [problem.left, problem.right, problem.into].map(|layout| matrices(&layout, problem.kind));
        let (left, right, into) = (left?, right?, into?);
        // In column-major layout, the transposed product is computed, whose first factor is the right one.
        let transposed = [(CUBLASLT_MATMUL_DESC_TRANSA, problem.right), (CUBLASLT_MATMUL_DESC_TRANSB, problem.left)];
        let preference = lt::create_matmul_pref().ok()?;
        let alignments = [
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ];
        // SAFETY: each attribute is read from a value of the type in the library's reference, and all descriptors are alive.
        unsafe {
            for (attribute, layout) in transposed {
                let way: i32 = i32::from(layout.transposed);
                lt::set_matmul_desc_attribute(product, attribute, (&raw const way).cast(), size_of::<i32>()).ok()?;
            }
            let most = Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
            lt::set_matmul_pref_attribute(preference, most, ptr::from_ref(&WORKSPACE).cast(), size_of::<usize>()).ok()?;
            for attribute in alignments {
                let bytes = ptr::from_ref(&problem.alignment).cast();
                lt::set_matmul_pref_attribute(preference, attribute, bytes, size_of::<u32>()).ok()?;
            }
            let found = lt::get_matmul_algo_heuristic(handle, product, right, left, into, into, preference);
            lt::destroy_matmul_pref(preference).ok()?;
            Some(Self { product, left, right, into, algorithm: found.ok()?.algo })
        }
    }
}

/// Makes the library's descriptor of a batch of matrices with one layout.
fn matrices(layout: &Layout, kind: lt_sys::cudaDataType) -> Option<lt_sys::cublasLtMatrixLayout_t> {
    use lt_sys::cublasLtMatrixLayoutAttribute_t::{
        CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
    };
    let told = lt::create_matrix_layout(kind, layout.rows, layout.columns, layout.leading).ok()?;
    let (count, step) = (ptr::from_ref(&layout.count).cast(), ptr::from_ref(&layout.step).cast());
    // SAFETY: as above; the count has 32 bits, and the offset 64.
    unsafe {
        lt::set_matrix_layout_attribute(told, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count, size_of::<i32>()).ok()?;
        lt::set_matrix_layout_attribute(told, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, step, size_of::<i64>()).ok()?;
    }
    Some(told)
}
