//! Why an upload is not taken.

/// Why a picture was not taken, by cause. The text is for the person who sent it.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum PictureError {
    /// The content is no picture, whatever its name says.
    #[error("The file is not a picture.")]
    NotAPicture,
    /// A picture of a kind that is not taken.
    #[error("{0} is not supported. Send a JPEG, PNG, WebP or GIF file.")]
    Unsupported(&'static str),
    /// The file is too large.
    #[error("The file is larger than {limit} bytes.")]
    TooLarge {
        /// Most bytes.
        limit: u64,
    },
    /// One side of the picture is too long.
    #[error("The picture is wider or higher than {limit} pixels.")]
    SideTooLong {
        /// Most pixels of a side.
        limit: u32,
    },
    /// The picture is too big to be decoded.
    #[error("The picture has more than {limit} pixels.")]
    TooManyPixels {
        /// Most pixels of a picture of this kind.
        limit: u64,
    },
    /// The animation is too long, or too long for its size.
    #[error("The animation has more than {limit} frames.")]
    TooManyFrames {
        /// Most frames of an animation of this size.
        limit: u64,
    },
    /// An animation that its metadata wants turned or mirrored. Only stills are encoded again.
    #[error("The animation is stored turned or mirrored. Save it upright and send it again.")]
    TurnedAnimation,
    /// The file is cut off or broken.
    #[error("The picture is damaged or incomplete.")]
    Damaged,
    /// Too many pictures are being worked on. Come back later.
    #[error("Too many pictures are being processed. Try again shortly.")]
    Busy,
}
