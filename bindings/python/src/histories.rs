//! What users had, and recommendations for many of them at once.

use crate::source::IdKind;
use dmran::batch::{Known, Options, Recommender};
use dmran::data::{Dataset, Vocabulary};
use dmran::scorer::{Event, Rules, Scored, Scorer};

/// Users with their events, in the ids of a model's items.
pub struct Histories {
    pub users: Vocabulary,
    pub kind: IdKind,
    pub events: Dataset,
}

/// What is recommended.
pub struct Wish {
    pub k: usize,
    /// Leave out what the user had, later than `now` too.
    pub filter_viewed: bool,
    pub rules: Rules,
    /// The moment; without, that of each user's last event.
    pub now: Option<i64>,
}

impl Histories {
    fn known(&self, now: Option<i64>, include_owned: bool) -> Known<'_> {
        Known { dataset: &self.events, now, include_owned }
    }

    /// The user's events up to `now`, and that moment.
    pub fn until(&self, user: u32, now: Option<i64>) -> (Vec<Event>, i64) {
        let context = self.known(now, true).context(user, &[]);
        (context.events().collect(), context.now)
    }

    /// The best items for each user, on the threads of the current pool; no list for users without an event that the model
    /// knows.
    pub fn rank(&self, scorer: &Scorer, users: &[u32], wish: &Wish) -> Vec<Option<Vec<Scored>>> {
        let known = self.known(wish.now, !wish.filter_viewed);
        let recommender = Recommender::new(scorer, Options { k: wish.k, rules: wish.rules.clone(), shortlist: None });
        let contexts: Vec<_> = users.iter().map(|user| known.context(*user, known.owned(*user))).collect();
        let lists = recommender.recommend(&contexts).into_iter().zip(users);
        lists.map(|(list, user)| (known.events(*user) > 0).then_some(list.best)).collect()
    }
}
