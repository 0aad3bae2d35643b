//! Eq 18, 19 over a sample of the items that a whole batch shares, for models whose user vectors do not depend on the
//! candidate: the drawn items and the batch's targets are a small catalogue, in which each row sees all that was drawn and,
//! of the targets, its own.

use crate::model::Model;
use crate::train::catalogue::{Batch, Catalogue, Gathered, ItemRows, Sizes};
use crate::train::ranks::Team;
use crate::train::ranks::cost::Compared;
use crate::train::sampler::SharedSampler;
use crate::train::shard::Shard;
use crate::train::sparse::Lookups;
use dmran_kernels::Level;
use dmran_kernels::cross_entropy::Excluded;
use rand::rngs::ChaCha8Rng;

/// The batch, its sample and their gradients.
pub(super) struct Sampled {
    level: Level,
    /// None before the first batch.
    catalogue: Option<Catalogue>,
    /// Room for the sample and the targets of the largest batch so far.
    room: usize,
    drawn: Vec<u32>,
    shift: Vec<f32>,
    /// The drawn items, ascending, each with its place among them.
    places: Vec<(u32, u32)>,
    /// All items of the small catalogue, and their vectors and biases.
    items: Vec<u32>,
    vectors: Vec<f32>,
    bias: Vec<f32>,
    d_users: Vec<f32>,
    own: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
    /// Items that rows leave out; then their places, and those of accidental hits and of the others' targets.
    left_out: [Vec<u32>; 2],
    excluded: [Vec<u32>; 2],
    lookups: Vec<Lookups>,
}

impl Sampled {
    pub fn new(level: Level, model: &dyn Model) -> Sampled {
        Sampled {
            level,
            catalogue: None,
            room: 0,
            drawn: Vec::new(),
            shift: Vec::new(),
            places: Vec::new(),
            items: Vec::new(),
            vectors: Vec::new(),
            bias: Vec::new(),
            d_users: Vec::new(),
            own: Vec::new(),
            targets: Vec::new(),
            weights: Vec::new(),
            left_out: [Vec::new(), Vec::new()],
            excluded: [Vec::new(), Vec::new()],
            lookups: model.params().tables().iter().map(|_| Lookups::default()).collect(),
        }
    }

    /// The mean loss over the rows of `shards`, of which these are the user vectors; the gradients stay here. Runs on the
    /// current pool.
    pub fn loss(
        &mut self,
        model: &dyn Model,
        shards: &[Shard],
        users: &[f32],
        (shared, mut rng): (&SharedSampler, ChaCha8Rng),
        team: &mut Team,
    ) -> f64 {
        shared.draw(&mut rng, &mut self.drawn, &mut self.shift);
        self.take(shards);
        self.leave_out();
        let rows = model.items().rows(model.params());
        self.gather(&rows);
        let Sampled { vectors, bias, d_users, targets, weights, excluded: [offsets, excluded], .. } = self;
        let d = rows.d();
        let sizes =
            Sizes { items: self.room, width: d, categories: 0, category_width: 0, item_category: &[], bias: true };
        let catalogue = self.catalogue.get_or_insert_with(|| Catalogue::new(self.level, &sizes));
        d_users.resize(users.len(), 0.0);
        let batch = Batch { users, targets, weights, excluded: Excluded { offsets, items: excluded } };
        let loss = catalogue.shared_loss_and_gradients(
            team,
            Gathered::All,
            &ItemRows { items: vectors, width: d, categories: None, bias },
            &batch,
            d_users,
        );
        self.look_up(model);
        loss
    }

    /// Takes over the shards' targets.
    fn take(&mut self, shards: &[Shard]) {
        let Sampled { own, targets, weights, left_out: [offsets, left_out], drawn, .. } = self;
        own.clear();
        offsets.clear();
        left_out.clear();
        for shard in shards {
            own.extend_from_slice(shard.targets());
            shard.left_out(offsets, left_out);
        }
        targets.clear();
        targets.extend((drawn.len()..drawn.len() + own.len()).map(|at| at as u32));
        weights.clear();
        weights.resize(own.len(), 1.0 / own.len().max(1) as f32);
        let room = drawn.len() + own.len();
        if room > self.room {
            (self.room, self.catalogue) = (room, None);
        }
    }

    /// Says which places of the small catalogue each row leaves out, ascending.
    fn leave_out(&mut self) {
        let Sampled {
            drawn, places, own, targets, left_out: [had_offsets, had], excluded: [offsets, excluded], ..
        } = self;
        places.clear();
        places.extend(drawn.iter().zip(0..).map(|(item, place)| (*item, place)));
        places.sort_unstable();
        offsets.clear();
        excluded.clear();
        offsets.push(0);
        for (row, target) in own.iter().enumerate() {
            let first = excluded.len();
            let mut leave = |item: u32| {
                let from = places.partition_point(|place| place.0 < item);
                excluded.extend(places[from..].iter().take_while(|place| place.0 == item).map(|place| place.1));
            };
            leave(*target);
            if let Some([start, end]) = had_offsets.get(row..row + 2) {
                let mut last = *target;
                for item in &had[*start as usize..*end as usize] {
                    if *item != last && item != target {
                        leave(*item);
                    }
                    last = *item;
                }
            }
            excluded[first..].sort_unstable();
            excluded.extend(targets.iter().filter(|place| **place != targets[row]));
            offsets.push(excluded.len() as u32);
        }
    }

    /// Puts the vectors and biases of the sample and the targets side by side. Places that a smaller batch leaves empty have
    /// no probability.
    fn gather(&mut self, rows: &ItemRows) {
        let Sampled { drawn, shift, own, items, vectors, bias, room, .. } = self;
        items.clear();
        items.extend_from_slice(drawn);
        items.extend_from_slice(own);
        vectors.clear();
        vectors.resize(*room * rows.d(), 0.0);
        rows.gather(items.iter().map(|item| *item as usize), vectors);
        bias.clear();
        let shift = shift.iter().copied().chain(std::iter::repeat(0.0));
        bias.extend(items.iter().zip(shift).map(|(item, shift)| rows.bias_of(*item as usize) + shift));
        // Where there is no correction, `shift` is empty, and all of it is zeros.
        bias.resize(*room, f32::NEG_INFINITY);
    }

    /// The gradients of what was gathered, as lookups of the tables' rows.
    fn look_up(&mut self, model: &dyn Model) {
        let Some(catalogue) = &self.catalogue else { return };
        let (of, params) = (model.items(), model.params());
        self.lookups.iter_mut().for_each(Lookups::clear);
        let (v, grads) = (params.table(of.v).cols, catalogue.d_items());
        let d = v + of.c.map_or(0, |c| params.table(c).cols);
        let ids = || self.items.iter().copied();
        self.lookups[of.v.0].push(ids(), grads.chunks_exact(d).map(|row| &row[..v]));
        if let Some(c) = of.c {
            let categories = ids().map(|item| of.item_category[item as usize]);
            self.lookups[c.0].push(categories, grads.chunks_exact(d).map(|row| &row[v..]));
        }
        if let Some(bias) = of.bias {
            self.lookups[bias.0].push(ids(), catalogue.d_bias().chunks_exact(1));
        }
    }

    /// The gradients of all user vectors, in the shards' order.
    pub fn d_users(&self) -> &[f32] {
        &self.d_users
    }

    /// The gradients of a table's rows.
    pub fn lookups(&self, table: usize) -> &Lookups {
        &self.lookups[table]
    }

    /// What so many targets are compared with.
    pub fn compared(&self, targets: usize) -> Option<Compared> {
        self.catalogue.as_ref().map(|catalogue| catalogue.compared(targets))
    }

    pub fn bytes(&self) -> usize {
        let Sampled { shift, vectors, bias, d_users, weights, .. } = self;
        let floats = [shift, vectors, bias, d_users, weights].into_iter().map(Vec::capacity).sum::<usize>();
        let ids = [&self.drawn, &self.items, &self.own, &self.targets].into_iter();
        let ids = ids.chain(&self.left_out).chain(&self.excluded).map(Vec::capacity).sum::<usize>();
        4 * (floats + ids + 2 * self.places.capacity())
            + self.catalogue.as_ref().map_or(0, Catalogue::bytes)
            + self.lookups.iter().map(Lookups::bytes).sum::<usize>()
    }
}
