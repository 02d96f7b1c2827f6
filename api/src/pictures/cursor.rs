//! Reads the parts of a file one after the other; the end of the bytes is damage.

use super::PictureError;

/// What is left of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// What is left, without moving on.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.left
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], PictureError> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(PictureError::Damaged)?;
        self.left = left;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PictureError> {
        let (taken, left) = self.left.split_first_chunk().ok_or(PictureError::Damaged)?;
        self.left = left;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, PictureError> {
        self.array::<1>().map(|[byte]| byte)
    }
}
