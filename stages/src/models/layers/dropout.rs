//! Dropout of an adapter's inputs in training. Takes a share, a seed, a module's name and inputs; gives the inputs with some set to 0.

use burn::tensor::{Device, Int, IntDType, Tensor, TensorData};

use crate::{models::device::is_processor, random::Random};

/// The dropout of one forward pass, which is drawn by its seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dropout {
    /// Share of the inputs that are set to 0.
    pub(crate) share: f64,
    pub(crate) seed: u64,
}

impl Dropout {
    /// Sets a share of the elements to 0, and scales the others so that the expected value does not change.
    pub(crate) fn apply(self, module: &str, input: Tensor<2>) -> Tensor<2> {
        // Each module has a stream of its own (FNV-1a of its name), so that its dropout does not depend on what was computed before.
        let name =
            module.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let (seed, device) = (self.seed ^ name, input.device());
        let mask = if is_processor(&device) { self.mask(seed, &input) } else { self.mask_on_device(seed, input.dims(), &device) };
        let dtype = input.dtype();
        input * mask.cast(dtype)
    }

    fn mask(self, seed: u64, input: &Tensor<2>) -> Tensor<2> {
        let mut random = Random::new(seed, "dropout");
        let keep = (1.0 - self.share).recip() as f32;
        let mask: Vec<f32> =
            (0..input.dims().iter().product()).map(|_| if random.uniform() < self.share { 0.0 } else { keep }).collect();
        Tensor::from_data(TensorData::new(mask, input.dims()), &input.device())
    }

    /// Draws by a hash of each element's number (the last steps of `MurmurHash3`, and one more), so that nothing of the inputs' size is
    /// copied to the device, and a pass that is computed again draws the same.
    fn mask_on_device(self, seed: u64, [places, size]: [usize; 2], device: &Device) -> Tensor<2> {
        let number = Tensor::<1, Int>::arange(0..(places * size) as i64, &device.clone().without_autodiff()).cast(IntDType::U32);
        let mixed = |hash: Tensor<1, Int>, shift: u32| hash.clone().bitwise_xor(hash.bitwise_right_shift_scalar(shift));
        let mut hash = number.bitwise_xor_scalar(seed as u32);
        for (shift, factor) in [(16, 0x85eb_ca6b_u32), (13, 0xc2b2_ae35), (16, 0x27d4_eb2f)] {
            hash = mixed(hash, shift).mul_scalar(factor).bitwise_xor_scalar((seed >> 32) as u32);
        }
        // 24 bits of the hash are exact in f32.
        let uniform = mixed(hash, 16).bitwise_right_shift_scalar(8_u32).float() * (1.0 / f64::from(1 << 24));
        (uniform.greater_equal_elem(self.share).float() * (1.0 - self.share).recip()).reshape([places, size])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The processor stands in for another device.
    #[test]
    fn what_a_device_draws_is_even_repeatable_and_another_for_each_seed() {
        let draw = |seed: u64| {
            let mask = Dropout { share: 0.3, seed: 0 }.mask_on_device(seed, [80, 100], &Device::flex());
            mask.into_data().try_into_vec::<f32>().unwrap()
        };
        let zeros = |mask: &[f32]| mask.iter().filter(|&&value| value == 0.0).count();
        let first = draw(7);
        assert_eq!(first, draw(7));
        for seed in [7, 8, 7 + (1 << 32), u64::MAX, 0] {
            let mask = draw(seed);
            assert!(mask.iter().all(|&value| value == 0.0 || (value - 1.0 / 0.7).abs() < 1e-6));
            // The bounds are four standard deviations of a binomial draw, over all elements and over a tenth of them.
            assert!(zeros(&mask).abs_diff(2400) < 164, "{}", zeros(&mask));
            assert!(mask.chunks(800).all(|part| zeros(part).abs_diff(240) < 52));
            // Two independent masks agree in 0.3² + 0.7² of the elements.
            let agreeing = mask.iter().zip(&first).filter(|(left, right)| left == right).count();
            assert!(seed == 7 || agreeing.abs_diff(4640) < 180, "{seed}: {agreeing}");
        }
    }
}
