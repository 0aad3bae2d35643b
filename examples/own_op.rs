//! An operation of one's own with its backward pass, checked by finite differences: y = softplus(x).
//! `cargo run --example own_op`

use dmran::autograd::check;
use dmran::autograd::tape::{Engine, Grads, Graph, Op, Values};
use dmran::autograd::var::Var;

/// What the backward pass has to know: where input and output lie.
struct Softplus {
    x: Var,
    y: Var,
}

impl Op for Softplus {
    /// dL/dx += dL/dy * sigmoid(x)
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _scratch: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(values.get(self.x)) {
            *dx += dy / (1.0 + (-x).exp());
        }
    }
}

/// `ln(1 + e^x)`, entry by entry; the shape stays.
fn softplus(g: &mut Graph<'_>, x: Var) -> Var {
    let y = g.alloc(x.rows, x.cols);
    g.compute(y, None, |values, out| {
        for (y, x) in out.y.iter_mut().zip(values.get(x)) {
            *y = x.max(0.0) + (-x.abs()).exp().ln_1p();
        }
    });
    g.push(Softplus { x, y });
    y
}

fn main() {
    // Panics with the entry's name where a gradient is wrong; every SIMD tier of this machine is tried.
    check::gradients(&[[3, 5]], Engine::Fused, |g, x| {
        let x = g.param(x[0]);
        vec![softplus(g, x)]
    });
    println!("the gradients are those of the differences");
}
