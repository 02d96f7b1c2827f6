//! Place of the strict simulators of WeChat Pay, Alipay, UnionPay and APNs.
//!
//! They are written from the providers' documents alone and share no signing code with
//! `providers`: a simulator has to catch Feat's mistakes, so it may use `schemas` at most.

pub mod apns;
