//! The backward pass, a block of candidates after the other.

use super::{Gradients, Users};
use crate::gate;
use crate::math;
use crate::segment::ranges;
use crate::simd::tile::Lanes;
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{Coefs, Old, Rows, RowsMut, add, aligned, combine};
use crate::transpose::transpose_lanes;

/// Candidates of a block: as many lanes as the products' tiles are wide.
const BLOCK: usize = 64;
/// Lines of one dimension of a block.
const VECTORS: usize = BLOCK / LANES;

/// Lines of scratch for users of at most `rows` rows.
pub(super) const fn scratch_lines(d: usize, rows: usize) -> usize {
    let (whole, per_row) = (d.next_multiple_of(LANES), VECTORS * rows);
    // Candidates, their gradients, and three times what is of their size, also the other way round; weights and their
    // gradients of two sides; the sums of dz.
    (2 + 3 + 3) * VECTORS * whole + 4 * per_row + whole
}

pub(super) struct Backward<'a, 'g> {
    pub users: &'a Users<'a>,
    pub c: &'a [f32],
    pub dscore: &'a [f32],
    pub out: Gradients<'g>,
    pub scratch: &'a mut [f32],
}

/// Scratch. What is `[dimensions, BLOCK]` has candidates in its columns, `turned` has dimensions there.
struct Room<'a> {
    c: &'a mut [f32],
    dc: &'a mut [f32],
    /// h, hhat and z, then their gradients.
    parts: [&'a mut [f32]; 3],
    /// The same, `[BLOCK, whole]`.
    turned: [&'a mut [f32]; 3],
    /// `[rows, BLOCK]`: weights of both sides.
    w: [&'a mut [f32]; 2],
    dw: [&'a mut [f32]; 2],
    /// `[d, LANES]`: sums of dz.
    dbias: &'a mut [f32],
}

impl<'a> Room<'a> {
    fn new(d: usize, rows: usize, scratch: &'a mut [f32]) -> Self {
        let (whole, mut rest) = (d.next_multiple_of(LANES), scratch);
        let mut take = |len: usize| {
            let (part, others) = std::mem::take(&mut rest).split_at_mut(len);
            rest = others;
            part
        };
        let (block, side) = (whole * BLOCK, rows * BLOCK);
        Self {
            c: take(block),
            dc: take(block),
            parts: [take(block), take(block), take(block)],
            turned: [take(block), take(block), take(block)],
            w: [take(side), take(side)],
            dw: [take(side), take(side)],
            dbias: take(whole * LANES),
        }
    }
}

/// Some rows of a user's: `[r, d]`, and their weights over the lanes of a block.
#[derive(Clone, Copy)]
struct Table<'a> {
    d: usize,
    rows: &'a [f32],
    /// Lanes that are computed.
    lanes: usize,
}

impl Table<'_> {
    fn r(&self) -> usize {
        self.rows.len() / self.d
    }

    /// `out[t, :] = sum_j rows[j, t] w[j, :]`.
    #[inline(always)]
    fn pool<S: Simd>(&self, s: S, w: &[f32], out: &mut [f32], old: Old) {
        let coefs = Coefs { data: self.rows, row: 1, term: self.d };
        combine(s, (self.d, self.r()), coefs, lines(w, self.lanes), &mut lines_mut(out, self.lanes), old);
    }

    /// `out[j, :] = sum_t rows[j, t] x[t, :]`.
    #[inline(always)]
    fn scores<S: Simd>(&self, s: S, x: &[f32], out: &mut [f32], old: Old) {
        let coefs = Coefs { data: self.rows, row: self.d, term: 1 };
        combine(s, (self.r(), self.d), coefs, lines(x, self.lanes), &mut lines_mut(out, self.lanes), old);
    }
}

/// The first `lanes` columns of lines of a block.
#[inline(always)]
fn lines(data: &[f32], lanes: usize) -> Rows<'_> {
    Rows { width: lanes, ..Rows::new(data, BLOCK) }
}

#[inline(always)]
fn lines_mut(data: &mut [f32], lanes: usize) -> RowsMut<'_> {
    RowsMut { width: lanes, ..RowsMut::new(data, BLOCK) }
}

/// `drows[j, :] += sum_i w[j, i] x[i, :]` over the candidates `i < count` of a block.
#[inline(always)]
fn gather<S: Simd>(s: S, w: &[f32], count: usize, x: Rows, drows: &mut [f32]) {
    let r = drows.len() / x.width;
    let out = &mut RowsMut::new(drows, x.width);
    combine(s, (r, count), Coefs { data: w, row: BLOCK, term: 1 }, x, out, Old::Add);
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { users, c, dscore, mut out, scratch } = self;
        let d = users.d;
        let n = c.len() / d;
        let longest = crate::segment::longest(users.offsets);
        let mut room = Room::new(d, longest, aligned(scratch));
        room.dbias.fill(0.0);
        let whole = d.next_multiple_of(LANES);
        for first in (0..n).step_by(BLOCK) {
            let count = BLOCK.min(n - first);
            let lanes = count.next_multiple_of(LANES);
            let block = &c[first * d..(first + count) * d];
            for at in (0..count).step_by(LANES) {
                let rows = Lanes::new(block, d, (at * d..block.len()).step_by(d));
                transpose_lanes(s, &rows, d, &mut room.c[at..], BLOCK);
            }
            room.dc.fill(0.0);
            for (b, rows) in ranges(users.offsets).enumerate() {
                let mut g = [0.0; BLOCK];
                g[..count].copy_from_slice(&dscore[b * n + first..][..count]);
                let user = User { d, rows: rows.start * d..rows.end * d, count, lanes, g: &g };
                user.run(s, users, block, &mut room, &mut out);
            }
            // The candidates' gradients, turned.
            let [turned, ..] = &mut room.turned;
            turn(s, d, lanes, room.dc, turned);
            for (row, dc) in turned.chunks_exact(whole).zip(out.c[first * d..].chunks_exact_mut(d)).take(count) {
                add(s, &row[..d], dc);
            }
        }
        if let Some(f) = &mut out.feature {
            for (db, sums) in f.gate_bias.iter_mut().zip(room.dbias.chunks_exact(LANES)) {
                *db += s.reduce_sum(s.load(sums));
            }
        }
    }
}

/// `out[i, t] = x[t, i]` for `t < d` and the first lanes.
#[inline(always)]
fn turn<S: Simd>(s: S, d: usize, lanes: usize, x: &[f32], out: &mut [f32]) {
    let whole = d.next_multiple_of(LANES);
    // Lines beyond d are there, and what they hold goes where nobody looks.
    for t in (0..whole).step_by(LANES) {
        let rows = Lanes::new(x, lanes, (t * BLOCK..(t + LANES) * BLOCK).step_by(BLOCK));
        transpose_lanes(s, &rows, lanes, &mut out[t..], whole);
    }
}

/// A user and a block of candidates.
struct User<'a> {
    d: usize,
    /// Where its rows stand in a table.
    rows: std::ops::Range<usize>,
    /// Candidates, and the lanes that are computed for them.
    count: usize,
    lanes: usize,
    /// The scores' gradients; 0 beyond the last candidate.
    g: &'a [f32; BLOCK],
}

impl User<'_> {
    #[inline(always)]
    fn run<S: Simd>(&self, s: S, users: &Users, block: &[f32], room: &mut Room, out: &mut Gradients) {
        let Self { d, lanes, count, .. } = *self;
        let at = self.rows.clone();
        let side = self.rows.len() / d * BLOCK;
        let whole = d.next_multiple_of(LANES);
        let scale = 1.0 / (d as f32).sqrt();
        let [h, hhat, z] = &mut room.parts;
        let [turned_h, turned_hhat, turned_z] = &mut room.turned;
        let [w, what] = &mut room.w;
        let [dw, dwhat] = &mut room.dw;
        let (w, dw, what, dwhat) = (&mut w[..side], &mut dw[..side], &mut what[..side], &mut dwhat[..side]);

        let m = Table { d, rows: &users.m[at.clone()], lanes };
        m.scores(s, room.c, w, Old::Forget);
        softmax(s, lanes, scale, w);
        m.pool(s, w, h, Old::Forget);
        match (&users.feature, &mut out.feature) {
            (Some(f), Some(df)) => {
                let mhat = Table { rows: &f.mhat[at.clone()], ..m };
                let gate_m = Table { rows: &f.gate_m[at.clone()], ..m };
                let gate_mhat = Table { rows: &f.gate_mhat[at.clone()], ..m };
                mhat.scores(s, room.c, what, Old::Forget);
                softmax(s, lanes, scale, what);
                mhat.pool(s, what, hhat, Old::Forget);
                gate_m.pool(s, w, z, Old::Forget);
                gate_mhat.pool(s, what, z, Old::Add);
                self.gate(s, f.gate_bias, [h, hhat, z], room.c, room.dc, room.dbias);

                m.scores(s, h, dw, Old::Forget);
                gate_m.scores(s, z, dw, Old::Add);
                mhat.scores(s, hhat, dwhat, Old::Forget);
                gate_mhat.scores(s, z, dwhat, Old::Add);
                softmax_backward(s, lanes, scale, what, dwhat);
                mhat.pool(s, dwhat, room.dc, Old::Add);

                turn(s, d, lanes, hhat, turned_hhat);
                turn(s, d, lanes, z, turned_z);
                let turned = Rows { stride: whole, ..Rows::new(turned_z, d) };
                gather(s, w, count, turned, &mut df.gate_m[at.clone()]);
                gather(s, what, count, turned, &mut df.gate_mhat[at.clone()]);
                let turned = Rows { stride: whole, ..Rows::new(turned_hhat, d) };
                gather(s, what, count, turned, &mut df.mhat[at.clone()]);
                gather(s, dwhat, count, Rows::new(block, d), &mut df.mhat[at.clone()]);
            }
            _ => {
                self.plain(s, h, room.c, room.dc);
                m.scores(s, h, dw, Old::Forget);
            }
        }
        softmax_backward(s, lanes, scale, w, dw);
        m.pool(s, dw, room.dc, Old::Add);
        turn(s, d, lanes, h, turned_h);
        gather(s, w, count, Rows { stride: whole, ..Rows::new(turned_h, d) }, &mut out.m[at.clone()]);
        gather(s, dw, count, Rows::new(block, d), &mut out.m[at]);
    }

    /// The gate: of h, hhat and z (without the bias) their gradients, and what it adds to dc and to the sums of dz.
    #[inline(always)]
    fn gate<S: Simd>(
        &self,
        s: S,
        bias: &[f32],
        [h, hhat, z]: [&mut [f32]; 3],
        c: &[f32],
        dc: &mut [f32],
        dbias: &mut [f32],
    ) {
        let one = s.splat(1.0);
        for (t, (&bias, sums)) in bias.iter().zip(dbias.chunks_exact_mut(LANES)).enumerate() {
            let bias = s.splat(bias);
            let mut sum = s.load(sums);
            for v in (0..self.lanes).step_by(LANES) {
                let at = t * BLOCK + v..t * BLOCK + v + LANES;
                let (h, hhat, z) = (&mut h[at.clone()], &mut hhat[at.clone()], &mut z[at.clone()]);
                let (vh, vhat) = (s.load(h), s.load(hhat));
                let (f, hc) = gate::fuse(s, s.add(s.load(z), bias), vh, vhat);
                let g = s.load(&self.g[v..]);
                let u = s.mul(g, s.load(&c[at.clone()]));
                let dc = &mut dc[at];
                s.store(s.mul_add(g, hc, s.load(dc)), dc);
                let rest = s.sub(one, f);
                let dh = s.mul(u, f);
                let dz = s.mul(dh, s.mul(rest, s.sub(vh, vhat)));
                s.store(dh, h);
                s.store(s.mul(u, rest), hhat);
                s.store(dz, z);
                sum = s.add(sum, dz);
            }
            s.store(sum, sums);
        }
    }

    /// Without a gate, where `h_c = h`: of h its gradient, and what it adds to dc.
    #[inline(always)]
    fn plain<S: Simd>(&self, s: S, h: &mut [f32], c: &[f32], dc: &mut [f32]) {
        for t in 0..self.d {
            for v in (0..self.lanes).step_by(LANES) {
                let at = t * BLOCK + v..t * BLOCK + v + LANES;
                let (h, dc) = (&mut h[at.clone()], &mut dc[at.clone()]);
                let g = s.load(&self.g[v..]);
                s.store(s.mul_add(g, s.load(h), s.load(dc)), dc);
                s.store(s.mul(g, s.load(&c[at])), h);
            }
        }
    }
}

/// Of scores `[rows, BLOCK]` the softmax of `scale` times them, over the rows.
#[inline(always)]
fn softmax<S: Simd>(s: S, lanes: usize, scale: f32, w: &mut [f32]) {
    let scale = s.splat(scale);
    for v in (0..lanes).step_by(LANES) {
        let mut max = s.splat(f32::NEG_INFINITY);
        for w in w.chunks_exact_mut(BLOCK) {
            let x = s.mul(s.load(&w[v..]), scale);
            max = s.max(max, x);
            s.store(x, &mut w[v..]);
        }
        let mut sum = s.zero();
        for w in w.chunks_exact_mut(BLOCK) {
            let e = math::exp_nonpositive(s, s.sub(s.load(&w[v..]), max));
            sum = s.add(sum, e);
            s.store(e, &mut w[v..]);
        }
        let part = s.div(s.splat(1.0), sum);
        for w in w.chunks_exact_mut(BLOCK) {
            s.store(s.mul(s.load(&w[v..]), part), &mut w[v..]);
        }
    }
}

/// `dw` becomes the gradient of the scores.
#[inline(always)]
fn softmax_backward<S: Simd>(s: S, lanes: usize, scale: f32, w: &[f32], dw: &mut [f32]) {
    let scale = s.splat(scale);
    for v in (0..lanes).step_by(LANES) {
        let mut mean = s.zero();
        for (w, dw) in w.chunks_exact(BLOCK).zip(dw.chunks_exact(BLOCK)) {
            mean = s.mul_add(s.load(&w[v..]), s.load(&dw[v..]), mean);
        }
        for (w, dw) in w.chunks_exact(BLOCK).zip(dw.chunks_exact_mut(BLOCK)) {
            let dw = &mut dw[v..];
            s.store(s.mul(s.mul(s.load(&w[v..]), scale), s.sub(s.load(dw), mean)), dw);
        }
    }
}
