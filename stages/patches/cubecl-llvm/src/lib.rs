//! What cubecl-cuda names of cubecl-llvm, without LLVM: a kernel comes in, a refusal goes out.
//!
//! cubecl-cuda compiles kernels with NVRTC where its feature `cpp` is on, and calls none of this; it must only be there to link.
//!
//! # Invariants
//!
//! - There is no build script and no download.
//! - No kernel is ever compiled here.

use std::{ffi::c_char, fmt};

use cubecl_core::{ir::nvidia::SmArch, prelude::KernelDefinition};
use cubecl_environment::backtrace::BackTrace;
use cubecl_server::{
    compiler::{CompilationError, Compiler},
    kernel::BufferIOAttr,
};

pub mod nvptx {
    //! Kernels for NVIDIA's devices.

    pub mod ptx_version {
        //! Versions of PTX.

        use std::fmt;

        /// A version of PTX, known by the driver that loads it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(i32);

        impl PtxVersion {
            /// Returns the newest version that a driver loads.
            #[expect(clippy::unnecessary_wraps, reason = "the signature is cubecl-llvm's")]
            pub fn for_driver(driver: i32) -> Option<Self> {
                Some(Self(driver))
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "driver{}", self.0)
            }
        }
    }
}

pub mod shared {
    //! What all devices share.

    pub mod lowered_features {
        //! What a device may be asked for.

        use cubecl_core::ir::DeviceProperties;

        /// A family of devices.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA's.
            Nvptx,
        }

        /// Takes from `properties` what LLVM cannot compile; called for LLVM only.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {}
    }
}

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA's devices.
    Nvptx,
}

/// Refuses every kernel.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// What kernels would be compiled for.
    pub target: LlvmTarget,
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(&mut self, _: KernelDefinition, _: &PlironOptions) -> Result<PlironArtifact, CompilationError> {
        let reason = "this program was built without LLVM".to_owned();
        Err(CompilationError::Generic { reason, backtrace: BackTrace::capture() })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}

/// Settings that nothing reads.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// A processor.
    pub arch: Option<()>,
    /// A device's architecture.
    pub sm_arch: Option<SmArch>,
    /// A version of PTX.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// How launch parameters are passed.
    pub grid_constants: bool,
}

/// A compiled kernel; there never is one.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// The text, with a NUL at its end.
    pub ptx: Vec<c_char>,
    /// The function to launch.
    pub entrypoint: String,
    /// LLVM's text.
    pub ir: String,
    /// Bytes of shared memory.
    pub shared_memory_size: usize,
    /// What is read and what is written.
    pub io: Vec<BufferIOAttr>,
}

/// What a compiler gives; there never is one.
#[derive(Clone, Debug)]
pub enum PlironArtifact {
    /// A kernel for NVIDIA's devices.
    NvptxCode(NvptxModule),
    /// Nothing.
    None,
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("nothing")
    }
}
