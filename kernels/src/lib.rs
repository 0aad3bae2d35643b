//! SIMD kernels of `dmran`: written once over 16 lanes of `f32`, run on the best tier that the CPU has.
