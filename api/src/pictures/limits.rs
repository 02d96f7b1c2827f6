//! How much of a picture is too much.

use std::{num::NonZeroUsize, thread};

/// Bounds of one picture and of the pool that decodes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureLimits {
    /// Most bytes of a file.
    pub max_bytes: u64,
    /// Most pixels of one side.
    pub max_side: u32,
    /// Most pixels of one frame.
    pub max_pixels: u64,
    /// Most frames of an animation.
    pub max_frames: u32,
    /// Most pixels of an animation, over all its frames.
    pub max_animation_pixels: u64,
    /// Most memory of one decode, in bytes. Turning a picture, or making it smaller, takes as much
    /// again for a moment.
    pub max_memory: u64,
    /// Most memory of all decodes at a time, in bytes, as far as the headers tell; further ones
    /// wait. A single one that needs more takes all of it.
    pub total_memory: u64,
    /// Pictures that are decoded at the same time, at least 1.
    pub decoders: usize,
    /// Most bytes of pictures that wait for a decoder. More are sent away as busy.
    pub waiting_bytes: u64,
}

impl Default for PictureLimits {
    /// 10 MiB, 12,000 pixels a side, 50 million pixels, 200 frames, 200 million pixels in an
    /// animation, 256 MiB for a decode, 512 MiB for all of them, as many decodes as cores, 64 MiB waiting.
    fn default() -> Self {
        Self {
            max_bytes: 10 * 1024 * 1024,
            max_side: 12_000,
            max_pixels: 50_000_000,
            max_frames: 200,
            max_animation_pixels: 200_000_000,
            max_memory: 256 * 1024 * 1024,
            total_memory: 512 * 1024 * 1024,
            decoders: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            waiting_bytes: 64 * 1024 * 1024,
        }
    }
}
