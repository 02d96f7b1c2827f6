//! SM3 (GB/T 32905), the hash of UnionPay's signing method 12.

const START: [u32; 8] = [
    0x7380_166f, 0x4914_b2b9, 0x1724_42d7, 0xda8a_0600, 0xa96f_30bc, 0x1631_38aa, 0xe38d_ee4d,
    0xb0fb_0e4e,
];

/// The hash of `data`.
pub(super) fn hash(data: &[u8]) -> [u8; 32] {
    let mut padded = data.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(data.len() as u64 * 8).to_be_bytes());

    let state = padded.as_chunks::<64>().0.iter().fold(START, compress);
    let mut out = [0; 32];
    for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    out
}

fn expand(block: &[u8; 64]) -> [u32; 68] {
    let mut words = [0u32; 68];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for j in 16..68 {
        let mixed = words[j - 16] ^ words[j - 9] ^ words[j - 3].rotate_left(15);
        let spread = mixed ^ mixed.rotate_left(15) ^ mixed.rotate_left(23);
        words[j] = spread ^ words[j - 13].rotate_left(7) ^ words[j - 6];
    }
    words
}

#[expect(clippy::many_single_char_names, reason = "the names of the standard")]
fn compress(state: [u32; 8], block: &[u8; 64]) -> [u32; 8] {
    let words = expand(block);
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for j in 0..64 {
        let early = j < 16;
        let constant: u32 = if early { 0x79cc_4519 } else { 0x7a87_9d8a };
        let turn = constant.rotate_left(u32::try_from(j % 32).unwrap_or(0));
        let ss1 = a.rotate_left(12).wrapping_add(e).wrapping_add(turn).rotate_left(7);
        let ss2 = ss1 ^ a.rotate_left(12);
        let ff = if early { a ^ b ^ c } else { (a & b) | (a & c) | (b & c) };
        let gg = if early { e ^ f ^ g } else { (e & f) | (!e & g) };
        let tt1 = ff.wrapping_add(d).wrapping_add(ss2).wrapping_add(words[j] ^ words[j + 4]);
        let tt2 = gg.wrapping_add(h).wrapping_add(ss1).wrapping_add(words[j]);
        d = c;
        c = b.rotate_left(9);
        b = a;
        a = tt1;
        h = g;
        g = f.rotate_left(19);
        f = e;
        e = tt2 ^ tt2.rotate_left(9) ^ tt2.rotate_left(17);
    }
    let mixed = [a, b, c, d, e, f, g, h];
    std::array::from_fn(|i| state[i] ^ mixed[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        let cases: [(&[u8], &str); 2] = [
            (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
            (&b"abcd".repeat(16), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
        ];
        for (data, expected) in cases {
            assert_eq!(crate::crypto::hex(&hash(data)), expected);
        }
    }
}
