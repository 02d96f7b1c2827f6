//! Matching a provider's bill of one day with our own bills.
//!
//! Two directions: each line of the file is looked up by the number that Feat gave the trade or
//! refund, and each payment or refund of ours that belongs to the day is looked for in the file. A
//! bill remembers on which day a provider listed it, so what moves around midnight is found in the
//! neighbour's file. What must hold: nothing here changes what a bill says about money; a
//! difference is told, and at most a question to the provider follows from it.

mod download;
mod judge;
mod lines;
mod ours;
mod rows;
mod terms;

pub(crate) use download::{Statement, download};
pub(crate) use lines::match_lines;
pub(crate) use ours::{add_unlisted, any_unlisted};
pub(crate) use rows::Rows;
pub(crate) use terms::Terms;
