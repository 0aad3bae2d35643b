//! The protocol `time`: one moment for everybody, and nothing behind it is known to anybody.

use dmran::data::{
    Dataset, Moments, Negatives, Protocol, Sample, Split, SplitAt, known_events, learned_events, test_samples,
    train_samples, validation_samples,
};
use dmran::train::evaluate::Exam;
use dmran::train::rivals::RIVALS;
use dmran::train::{Config, start};
use dmran_kernels::Level;

const DAY: i64 = 86_400;

/// Items and days of each user.
fn log(users: &[&[(u32, i64)]]) -> Dataset {
    let (mut offsets, mut items, mut times) = (vec![0], Vec::new(), Vec::new());
    for user in users {
        items.extend(user.iter().map(|(item, _)| *item));
        times.extend(user.iter().map(|(_, day)| day * DAY));
        offsets.push(items.len());
    }
    Dataset::from_parts(offsets, items, times, vec![], 9, 0).unwrap()
}

/// The validation begins on day 50, the test on day 80.
const USERS: [&[(u32, i64)]; 6] = [
    &[(0, 1), (1, 2), (2, 49), (3, 50), (4, 60), (5, 80), (6, 90)],
    &[(1, 10), (0, 20), (2, 90)],
    // Nothing before the validation begins; nothing before the test.
    &[(3, 55), (4, 79), (5, 81)],
    &[(6, 85), (7, 86)],
    &[(2, 5)],
    &[(8, 7), (1, 80), (0, 81)],
];

fn split(test_all: bool) -> Split {
    Split { protocol: Protocol::Time, at: SplitAt::Time(80 * DAY), test_all }
}

fn pairs(samples: Vec<Sample>) -> Vec<(u32, u32)> {
    samples.iter().map(|sample| (sample.user, sample.target)).collect()
}

#[test]
fn a_split_by_hand() {
    let dataset = log(&USERS);
    // Events before day 80: days 1 2 5 7 10 20 49 50 55 60 79; the one at nine tenths of them is that of day 60.
    assert_eq!(split(false).moments(&dataset), Some(Moments { validation: 60 * DAY, test: 80 * DAY }));
    assert_eq!(learned_events(&dataset, split(false)), [4, 2, 1, 0, 1, 1]);
    assert_eq!(known_events(&dataset, split(false)), [5, 2, 2, 0, 1, 1]);
    assert_eq!(pairs(train_samples(&dataset, split(false))), [(0, 1), (0, 2), (0, 3), (1, 1)]);
    assert_eq!(pairs(validation_samples(&dataset, split(false))), [(0, 4), (2, 1)]);
    assert_eq!(pairs(test_samples(&dataset, split(false))), [(0, 5), (1, 2), (2, 2), (5, 1)]);
    assert_eq!(pairs(test_samples(&dataset, split(true))), [(0, 5), (0, 6), (1, 2), (2, 2), (5, 1), (5, 2)]);
}

#[test]
fn a_share_is_cut_at_the_time_of_an_event() {
    let dataset = log(&USERS);
    let at = |share| Split { at: SplitAt::Share(share), ..split(false) }.moments(&dataset).unwrap();
    // 19 events: the tenth (from 0: the ninth) is that of day 60; of the nine before it the fifth (from 0: the fourth).
    assert_eq!(at(0.5), Moments { validation: 10 * DAY, test: 60 * DAY });
    // Events of one day stay together.
    assert_eq!(at(0.6).test, at(0.67).test);
    let nothing = Dataset::from_histories(&[&[0, 1, 2]], 3).unwrap();
    assert_eq!(split(false).moments(&nothing), None);
    for split in [split(false), split(true)] {
        assert!(train_samples(&nothing, split).is_empty() && test_samples(&nothing, split).is_empty());
        assert!(validation_samples(&nothing, split).is_empty());
    }
}

fn config() -> Config {
    let mut config = Config::default();
    (config.model.d, config.model.hops, config.model.categories) = (8, 2, false);
    (config.train.epochs, config.train.threads) = (2, 1);
    config.eval.protocol = Protocol::Time;
    config.eval.split_at = SplitAt::Time(80 * DAY);
    config
}

/// The same up to day 80, another world from then on.
fn otherwise() -> Dataset {
    let early = |user: &[(u32, i64)]| user.iter().copied().filter(|(_, day)| *day < 80).collect::<Vec<_>>();
    let mut users: Vec<Vec<(u32, i64)>> = USERS.iter().map(|user| early(user)).collect();
    for (user, events) in users.iter_mut().enumerate() {
        events.extend((0..4).map(|k| ((user as u32 + 3 * k) % 9, 100 + i64::from(k))));
    }
    log(&users.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn nothing_that_is_learned_or_picked_depends_on_what_comes_after_the_moment() {
    let worlds = [log(&USERS), otherwise()];
    let trained = worlds.each_ref().map(|dataset| {
        let mut fit = start(config(), dataset, Level::best()).unwrap();
        fit.run(&mut ()).unwrap();
        let weights = fit.trainer.model().params().trained().to_vec();
        let epochs: Vec<_> = fit.state.reports.iter().map(|r| (r.loss, r.auc.mean, r.validation_loss.mean)).collect();
        (weights, epochs)
    });
    assert!(trained[0] == trained[1]);
    let scores = worlds.each_ref().map(|dataset| {
        let items: Vec<u32> = (0..9).collect();
        let score = |rival: &dmran::train::rivals::Rival| {
            let mut out = vec![0.0; 9];
            let mut scorer = rival.of(dataset, config().eval.split()).expect("the log has times");
            scorer.score(dataset, &[Sample { user: 0, target: 5 }], &items, &mut out);
            out
        };
        RIVALS.iter().map(score).collect::<Vec<_>>()
    });
    assert_eq!(scores[0], scores[1]);
    assert!(scores[0].iter().all(|scores| scores.iter().any(|s| *s > 0.0)));
}

#[test]
fn negatives_know_what_had_happened_by_then() {
    let dataset = log(&USERS);
    let owned = |known: Vec<u32>| Negatives::until(&dataset, &known).owned(0).to_vec();
    assert_eq!(owned(learned_events(&dataset, split(false))), [0, 1, 2, 3]);
    assert_eq!(owned(known_events(&dataset, split(false))), [0, 1, 2, 3, 4]);
}

#[test]
fn all_events_are_tested_one_by_one_and_count_by_users() {
    let dataset = log(&USERS);
    let mut config = config();
    config.eval.test_all = true;
    let exam = Exam::new(&dataset, &config);
    let figures = exam.rivals();
    assert_eq!(figures.len(), 3);
    for rated in figures {
        let hr = rated.figures.ranking.get("HR", Some(10)).unwrap();
        assert_eq!((hr.mean, hr.n), (1.0, 4), "{}: nine items, four users", rated.name);
    }
}
