//! The test vectors of the providers, checked with the simulators own code.
