//! Packed products against the naive twin, on every level, with odd sizes, strides and unaligned slices.

#[path = "support/random.rs"]
mod random;

use dmran_kernels::gemm::{Matrix, MatrixMut, Output, gemm, gemm_tn, pack, pack_transposed, packed_len};
use dmran_kernels::{Level, naive};
use random::{Random, bits, worst};

const SIZES: [(usize, usize, usize); 16] = [
    (0, 5, 7),
    (1, 128, 128),
    (2, 100, 100),
    (3, 1, 1),
    (4, 16, 16),
    (5, 17, 33),
    (6, 8, 6),
    (7, 6, 64),
    (10, 128, 128),
    (13, 0, 5),
    (13, 5, 0),
    (31, 3, 47),
    (49, 20, 48),
    (97, 40, 80),
    (100, 128, 24),
    (259, 9, 19),
];

/// Products of k terms of size up to 1, in f32 against f64.
fn bound(k: usize) -> f32 {
    6e-8 * (k as f32 + 8.0)
}

#[test]
fn product_matches_the_naive_twin() {
    let mut random = Random::new(2);
    for &level in Level::available() {
        for (rows, k, n) in SIZES {
            let w = random.vec(n * k, 1.0);
            let mut packed = vec![9.0; packed_len(k, n) + 1];
            pack_transposed(&w, n, k, &mut packed[1..]);
            let packed = &packed[1..];
            let bias = random.vec(n, 1.0);
            let starts = random.vec(rows, 1.0);
            // Unaligned, and with rows further apart than they are wide.
            let (stride_x, stride_y) = (k + 3, n + 2);
            let x = random.vec(rows * stride_x + 1, 1.0);
            let x = Matrix::strided(&x[1..], rows, k, stride_x);
            let outputs = [
                Output::OVERWRITE,
                Output::ACCUMULATE,
                Output::OVERWRITE.bias(&bias),
                Output::OVERWRITE.bias(&bias).relu(),
                Output::ACCUMULATE.bias(&bias).relu(),
                Output::ADD,
                Output::ADD.bias(&bias).relu(),
                Output::from_rows(&starts),
                Output::from_rows(&starts).bias(&bias),
            ];
            for output in outputs {
                let before = random.vec(rows * stride_y + 1, 1.0);
                let (mut ours, mut truth) = (before.clone(), before.clone());
                gemm(level, x, packed, MatrixMut::strided(&mut ours[1..], rows, n, stride_y), output);
                naive::gemm::gemm(level, x, packed, MatrixMut::strided(&mut truth[1..], rows, n, stride_y), output);
                let error = worst(&ours, &truth);
                assert!(error <= bound(k), "{level} [{rows}, {k}, {n}] {output:?}: {error}");
                // The gaps between rows are not touched.
                for row in 0..rows {
                    let gap = 1 + row * stride_y + n..1 + (row + 1) * stride_y;
                    assert_eq!(ours[gap.clone()], before[gap]);
                }
            }
        }
    }
}

#[test]
fn transposed_product_matches_the_naive_twin() {
    let mut random = Random::new(3);
    for &level in Level::available() {
        for (m, rows, n) in SIZES {
            // Rows of b an odd number of cache lines apart are read where they stand, others copied.
            let odd_lines = n.next_multiple_of(32) + 16;
            for (rows, stride_b) in
                [(rows, n + 5), (rows + 50, odd_lines), (2 * rows + 96, n + 5), (2 * rows, odd_lines)]
            {
                let stride_a = m + 1;
                let a = random.vec(rows * stride_a + 1, 1.0);
                let b = random.vec(rows * stride_b + 1, 1.0);
                let a = Matrix::strided(&a[1..], rows, m, stride_a);
                let b = Matrix::strided(&b[1..], rows, n, stride_b);
                for accumulate in [false, true] {
                    let before = random.vec(m * n + 1, 1.0);
                    let (mut ours, mut truth) = (before.clone(), before);
                    gemm_tn(level, a, b, MatrixMut::new(&mut ours[1..], m, n), accumulate);
                    naive::gemm::gemm_tn(level, a, b, MatrixMut::new(&mut truth[1..], m, n), accumulate);
                    let error = worst(&ours, &truth);
                    assert!(error <= bound(rows), "{level} [{m}, {rows}, {n}] {accumulate}: {error}");
                }
            }
        }
    }
}

#[test]
fn both_packings_hold_the_same_weight() {
    // x W^T with pack_transposed(W) = x V with pack(V) for V = W^T.
    let mut random = Random::new(4);
    for (n_out, n_in) in [(1, 1), (6, 17), (17, 6), (128, 100), (0, 3), (3, 0)] {
        let w = random.vec(n_out * n_in, 1.0);
        let mut transposed = vec![0.0; w.len()];
        for i in 0..n_out {
            for j in 0..n_in {
                transposed[j * n_out + i] = w[i * n_in + j];
            }
        }
        let mut a = vec![1.0; packed_len(n_in, n_out)];
        let mut b = vec![2.0; packed_len(n_in, n_out)];
        pack_transposed(&w, n_out, n_in, &mut a);
        pack(&transposed, n_in, n_out, &mut b);
        assert_eq!(a, b);
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    let mut random = Random::new(5);
    for &level in Level::available() {
        for (k, n) in [(128, 128), (100, 100), (6, 17), (33, 80)] {
            let rows = 77;
            let x = random.vec(rows * k, 1.0);
            let w = random.vec(n * k, 1.0);
            let mut packed = vec![0.0; packed_len(k, n)];
            pack_transposed(&w, n, k, &mut packed);
            let mut batch = vec![0.0; rows * n];
            gemm(level, Matrix::new(&x, rows, k), &packed, MatrixMut::new(&mut batch, rows, n), Output::OVERWRITE);
            for part in 1..=7 {
                for first in 0..rows - part {
                    let mut few = vec![0.0; part * n];
                    let x = Matrix::new(&x[first * k..(first + part) * k], part, k);
                    gemm(level, x, &packed, MatrixMut::new(&mut few, part, n), Output::OVERWRITE);
                    assert_eq!(bits(&few), bits(&batch[first * n..(first + part) * n]), "{level} row {first}");
                }
            }
        }
    }
}

#[test]
fn chains_are_sequential_multiply_adds() {
    // The exact value of every element: so all FMA levels, and all tiles, have the same bits.
    let mut random = Random::new(6);
    let (rows, k, n) = (111, 70, 37);
    let (x, w) = (random.vec(rows * k, 1.0), random.vec(n * k, 1.0));
    let (a, b) = (random.vec(rows * n, 1.0), random.vec(rows * k, 1.0));
    let mut packed = vec![0.0; packed_len(k, n)];
    pack_transposed(&w, n, k, &mut packed);
    for &level in Level::available() {
        let step = |a: f32, b: f32, c: f32| {
            if level == Level::Portable { a * b + c } else { a.mul_add(b, c) }
        };
        let start = random.vec(rows * n, 1.0);
        let mut y = start.clone();
        gemm(level, Matrix::new(&x, rows, k), &packed, MatrixMut::new(&mut y, rows, n), Output::ACCUMULATE);
        for i in 0..rows {
            for j in 0..n {
                let chain = (0..k).fold(start[i * n + j], |acc, l| step(x[i * k + l], w[j * k + l], acc));
                assert_eq!(y[i * n + j].to_bits(), chain.to_bits(), "{level} y[{i}, {j}]");
            }
        }
        let start = random.vec(n * k, 1.0);
        let mut c = start.clone();
        let (a_matrix, b_matrix) = (Matrix::new(&a, rows, n), Matrix::new(&b, rows, k));
        gemm_tn(level, a_matrix, b_matrix, MatrixMut::new(&mut c, n, k), true);
        for i in 0..n {
            for j in 0..k {
                let chain = (0..rows).fold(start[i * k + j], |acc, l| step(a[l * n + i], b[l * k + j], acc));
                assert_eq!(c[i * k + j].to_bits(), chain.to_bits(), "{level} c[{i}, {j}]");
            }
        }
    }
}

#[test]
fn nan_passes_through_relu_and_padding_stays_out() {
    for &level in Level::available() {
        // An infinite weight in the last real column must not reach a neighbour through the padding.
        let w = [1.0, f32::NAN, f32::INFINITY];
        let mut packed = vec![0.0; packed_len(1, 3)];
        pack_transposed(&w, 3, 1, &mut packed);
        let mut y = [0.0; 6];
        let x = Matrix::new(&[-1.0, 1.0], 2, 1);
        gemm(level, x, &packed, MatrixMut::new(&mut y, 2, 3), Output::OVERWRITE.relu());
        assert_eq!((y[0], y[2], y[3], y[5]), (0.0, 0.0, 1.0, f32::INFINITY), "{level}");
        assert!(y[1].is_nan() && y[4].is_nan(), "{level}");
    }
}

#[test]
#[should_panic(expected = "a packed matrix of [4, 3]")]
fn a_wrong_packed_length_is_refused() {
    let mut y = [0.0; 3];
    gemm(Level::best(), Matrix::new(&[0.0; 4], 1, 4), &[0.0; 10], MatrixMut::new(&mut y, 1, 3), Output::OVERWRITE);
}

#[test]
#[should_panic(expected = "needs")]
fn a_short_strided_matrix_is_refused() {
    Matrix::strided(&[0.0; 10], 3, 4, 5);
}
