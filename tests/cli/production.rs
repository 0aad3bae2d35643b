//! What a nightly job uses: everybody's recommendations at once, in parts, under rules, in every form.

use crate::support::cli::{Folder, TINY};
use crate::support::model_file::Mmix;
use dmran::batch::{Context, Options, Recommender, popular};
use dmran::scorer::{
    Counts, Event, Head, Ids, Level, Model, ModelParts, Rules, Scored, Scorer, Scratch, Settings, Variant,
    expected_tensors,
};
use rayon::ThreadPoolBuilder;
use std::collections::{BTreeMap, BTreeSet};

/// More than two blocks of items and one of a few more.
const ITEMS: usize = 1100;

/// A model of `ITEMS` items with random weights. Every tenth item is a twin of the one before it, and from 600 to 700 all
/// are twins of one that is good for many users.
fn scorer(settings: Settings, level: Level) -> Scorer {
    let mut random = Mmix(11);
    let (categories, item_category) = match settings.categories {
        true => (Ids::from_sorted(["a", "b", "c"]).unwrap(), (0..ITEMS).map(|i| i as u32 / 2 % 3).collect()),
        false => (Ids::default(), Vec::new()),
    };
    let counts = Counts { items: ITEMS, categories: categories.len() };
    let tensors = expected_tensors(&settings, counts).into_iter().map(|spec| {
        let (rows, columns) = spec.shape.rows_columns();
        let mut values: Vec<f32> = (0..rows * columns).map(|_| random.weight()).collect();
        if spec.name == "V" || spec.name == "bias" {
            let width = values.len() / ITEMS;
            for item in (9..ITEMS).step_by(10) {
                values.copy_within((item - 1) * width..item * width, item * width);
            }
            for item in 601..700 {
                values.copy_within(600 * width..601 * width, item * width);
            }
            if spec.name == "bias" {
                values[600..700].fill(0.75);
            }
        }
        (spec.name.to_owned(), values)
    });
    let parts = ModelParts {
        tensors: tensors.collect(),
        items: Ids::from_sorted((0..ITEMS).map(|i| format!("i{i:05}"))).unwrap(),
        settings,
        categories,
        item_category,
        card: crate::support::model_file::card(),
    };
    Scorer::with_level(Model::from_parts(parts).unwrap(), level).unwrap()
}

fn settings(head: Head, categories: bool) -> Settings {
    Settings { head, categories, d: 24, heads: 2, ..crate::support::model_file::small_settings() }
}

/// Histories of users, the first two without any.
fn histories(users: usize) -> Vec<Vec<Event>> {
    let mut random = Mmix(5);
    let event = |random: &mut Mmix, n: usize| Event { item: random.below(ITEMS) as u32, time: n as i64 * 40_000 };
    (0..users)
        .map(|user| {
            let events = if user < 2 { 0 } else { 1 + random.below(30) };
            (0..events).map(|n| event(&mut random, n)).collect()
        })
        .collect()
}

struct User {
    items: Vec<u32>,
    times: Vec<i64>,
    exclude: Vec<u32>,
}

fn users(count: usize) -> Vec<User> {
    let of = |events: Vec<Event>| {
        let items: Vec<u32> = events.iter().map(|event| event.item).collect();
        let mut exclude = items.clone();
        // A list as long as the users', in no order and with repeats.
        exclude.extend([7, 3, 7, 1099]);
        User { items, times: events.iter().map(|event| event.time).collect(), exclude }
    };
    histories(count).into_iter().map(of).collect()
}

const NOW: i64 = 2_000_000;

fn contexts(users: &[User]) -> Vec<Context<'_>> {
    users
        .iter()
        .map(|user| Context { items: &user.items, times: &user.times, now: NOW, exclude: &user.exclude })
        .collect()
}

/// The list of one user by the scorer alone.
fn alone(scorer: &Scorer, user: &User, options: &Options) -> Vec<Scored> {
    let events: Vec<Event> =
        user.items.iter().zip(&user.times).map(|(item, time)| Event { item: *item, time: *time }).collect();
    let (mut scratch, mut best) = (Scratch::new(), Vec::new());
    let mut encoded = scorer.encode(&events, NOW, &mut scratch);
    if options.rules == Rules::default() {
        encoded.top_k(options.k, &user.exclude, &mut best);
    } else {
        encoded.top_k_by(options.k, &options.rules, &user.exclude, &mut best);
    }
    best
}

fn bits(list: &[Scored]) -> Vec<(u32, u32)> {
    list.iter().map(|one| (one.item, one.score.to_bits())).collect()
}

fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn lists_made_at_once_are_those_made_one_by_one_to_the_last_bit() {
    let users = users(140);
    for level in [Level::best(), Level::Portable] {
        for &head in Head::ALL {
            for categories in [false, true] {
                let scorer = scorer(settings(head, categories), level);
                let model = scorer.model();
                let all = Rules::default();
                let some = Rules::default().without(model, (0..ITEMS as u32).step_by(3));
                let few = Rules::default().only(model, [600, 601, 5, 900]);
                for (k, rules) in [(10, &all), (1, &all), (ITEMS + 5, &all), (0, &all), (10, &some), (10, &few)] {
                    // The slow heads on the portable level say nothing new.
                    if level == Level::Portable && !matches!(head, Head::Mean | Head::Rows) && k > 10 {
                        continue;
                    }
                    let options = Options { k, rules: rules.clone(), shortlist: None };
                    let recommender = Recommender::new(&scorer, options.clone());
                    let lists = on_threads(3, || recommender.recommend(&contexts(&users)));
                    assert_eq!(lists.len(), users.len());
                    for (at, (list, user)) in lists.iter().zip(&users).enumerate() {
                        let want = alone(&scorer, user, &options);
                        assert_eq!(bits(&list.best), bits(&want), "{level} {head} {categories} k {k}: user {at}");
                        assert_eq!(list.cold, at < 2, "{level} {head}: user {at}");
                    }
                }
            }
        }
    }
}

#[test]
fn lists_depend_neither_on_threads_nor_on_who_else_is_asked_for() {
    let users = users(300);
    for head in [Head::Mean, Head::Vanilla] {
        let scorer = scorer(settings(head, true), Level::best());
        for shortlist in [None, Some(50)] {
            let recommender = Recommender::new(&scorer, Options { shortlist, ..Options::default() });
            let contexts = contexts(&users);
            let whole = on_threads(1, || recommender.recommend(&contexts));
            assert_eq!(on_threads(4, || recommender.recommend(&contexts)), whole);
            for at in [0, 1, 17, 299] {
                assert_eq!(recommender.recommend(&contexts[at..=at]), whole[at..=at]);
            }
        }
    }
}

#[test]
fn a_shortlist_as_long_as_the_catalogue_is_the_full_ranking_and_a_short_one_holds_k() {
    let users = users(60);
    for head in [Head::Vanilla, Head::Atrank] {
        for variant in [Variant::Full, Variant::Item, Variant::Feature] {
            let scorer = scorer(Settings { variant, ..settings(head, true) }, Level::best());
            for rules in [Rules::default(), Rules::default().without(scorer.model(), 0..500).at_most(2)] {
                let options = |shortlist| Options { k: 6, rules: rules.clone(), shortlist };
                let lists = Recommender::new(&scorer, options(Some(ITEMS))).recommend(&contexts(&users));
                for (list, user) in lists.iter().zip(&users) {
                    assert_eq!(bits(&list.best), bits(&alone(&scorer, user, &options(None))), "{head} {variant}");
                }
                // One is too few for six: six are proposed. Each score is the head's own.
                let lists = Recommender::new(&scorer, options(Some(1))).recommend(&contexts(&users));
                for (list, user) in lists.iter().zip(&users).skip(2) {
                    assert!(list.best.len() == 6 || rules.per_category().is_some());
                    let exact: BTreeMap<u32, u32> =
                        bits(&alone(&scorer, user, &Options { k: ITEMS, ..Options::default() })).into_iter().collect();
                    assert!(bits(&list.best).iter().all(|(item, score)| exact[item] == *score));
                }
            }
        }
    }
}

#[test]
fn rules_strike_items_from_the_list_and_nothing_else() {
    let user = &users(9)[8];
    for &head in Head::ALL {
        let scorer = scorer(settings(head, true), Level::best());
        let model = scorer.model();
        let whole = alone(&scorer, user, &Options { k: ITEMS, ..Options::default() });
        for cap in [None, Some(1), Some(3), Some(2000)] {
            let rules = Rules::default().without(model, [whole[0].item, 2_000_000]).without_categories(model, &[1]);
            let rules = rules.only(model, 100..ITEMS as u32);
            let rules = cap.into_iter().fold(rules, Rules::at_most);
            let mut counts = [0; 3];
            let want = whole.iter().skip(1).filter(|one| {
                let category = model.item_category()[one.item as usize] as usize;
                counts[category] += usize::from(one.item >= 100);
                category != 1 && one.item >= 100 && counts[category] <= cap.unwrap_or(ITEMS)
            });
            let want: Vec<(u32, u32)> = want.take(12).map(|one| (one.item, one.score.to_bits())).collect();
            let options = Options { k: 12, rules, shortlist: None };
            assert_eq!(bits(&alone(&scorer, user, &options)), want, "{head} {cap:?}");
            let batch = Recommender::new(&scorer, options).recommend(&contexts(std::slice::from_ref(user)));
            assert_eq!(bits(&batch[0].best), want, "{head} {cap:?}");
        }
    }
}

#[test]
fn the_most_popular_are_counted_not_guessed() {
    let scorer = scorer(settings(Head::Mean, true), Level::best());
    let mut counts = vec![0; ITEMS];
    for (item, count) in [(5, 3), (6, 3), (900, 9), (2, 1)] {
        counts[item] = count;
    }
    let list = popular(scorer.model(), &counts, 10, &Rules::default(), &[6]);
    let want: [(u32, f32); 3] = [(900, 9.0), (5, 3.0), (2, 1.0)];
    assert_eq!(bits(&list), want.map(|(item, score)| (item, score.to_bits())), "what nobody had is not popular");
    let capped = popular(scorer.model(), &counts, 10, &Rules::default().at_most(1), &[]);
    let items: Vec<u32> = capped.iter().map(|one| one.item).collect();
    assert_eq!(items, [900, 5, 2], "900 and 6 are of one category");
}

#[test]
fn similar_items_are_those_of_the_largest_cosine() {
    for categories in [false, true] {
        let scorer = scorer(settings(Head::Vanilla, categories), Level::best());
        let d = scorer.settings().d;
        let mut vectors = vec![0.0; ITEMS * d];
        scorer.item_vectors(0..ITEMS as u32, &mut vectors);
        let row = |item: u32| vectors[item as usize * d..][..d].iter().map(|x| f64::from(*x));
        let dot = |a: u32, b: u32| row(a).zip(row(b)).map(|(x, y)| x * y).sum::<f64>();
        for item in [0, 8, 600, 1099] {
            let mut best = Vec::new();
            scorer.similar(item, 20, &Rules::default(), &mut best).unwrap();
            assert!(best.len() == 20 && best.is_sorted() && best.iter().all(|one| one.item != item));
            let cosine = |other: u32| dot(item, other) / (dot(item, item) * dot(other, other)).sqrt();
            for one in &best {
                assert!((f64::from(one.score) - cosine(one.item)).abs() < 1e-5);
            }
            let worst = f64::from(best[19].score);
            let better = (0..ITEMS as u32).filter(|other| *other != item && cosine(*other) > worst + 1e-5);
            assert!(better.count() <= 19);
        }
        assert!(scorer.similar(ITEMS as u32, 1, &Rules::default(), &mut Vec::new()).is_err());
    }
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// `log.csv` has forty users; one more has nothing that a model trained on it knows.
fn with_a_stranger() -> Folder {
    let folder = Folder::with_model();
    folder.write("new.csv", crate::support::cli::log() + "stranger,unheard-of,1500000000,c0\n");
    folder
}

#[test]
fn sixteen_parts_are_the_whole_and_a_part_run_again_has_the_same_bytes() {
    let folder = with_a_stranger();
    let recommend = |out: &str, more: &[&str]| {
        let args = ["recommend", "model.dmran", "new.csv", "--all", "--cold", "popular", "-o", out];
        folder.run(&[&args[..], more].concat()).ok()
    };
    for form in ["csv", "jsonl"] {
        recommend(&format!("whole.{form}"), &[]);
        let whole = String::from_utf8(folder.read(&format!("whole.{form}"))).unwrap();
        let (mut together, mut count) = (BTreeSet::new(), 0);
        for part in 1..=16 {
            let (part, name) = (format!("{part}/16"), format!("part-{part}.{form}"));
            recommend(&name, &["--part", &part, "--threads", "1"]);
            let text = String::from_utf8(folder.read(&name)).unwrap();
            recommend(&name, &["--part", &part, "--threads", "2", "--map"]);
            assert!(text.as_bytes() == folder.read(&name), "part {part} run again");
            count += text.lines().count() - usize::from(form == "csv");
            together.extend(lines(&text));
        }
        assert_eq!(together, lines(&whole));
        assert_eq!(count, whole.lines().count() - usize::from(form == "csv"), "nobody is in two parts");
    }
    for part in ["0/4", "5/4", "3", "a/b"] {
        folder.run(&["recommend", "model.dmran", "new.csv", "--all", "--part", part]).refused(&["is no part", "3/16"]);
    }
    let one = ["recommend", "model.dmran", "new.csv", "--user", "u1", "--part", "1/2"];
    folder.run(&one).refused(&["--part", "--all"]);
}

#[test]
fn who_has_no_history_gets_the_fallback_and_is_marked() {
    let folder = with_a_stranger();
    let run =
        |more: &[&str]| folder.run(&[&["recommend", "model.dmran", "new.csv", "--all", "-k", "3"], more].concat());
    let left_out = run(&["--out-format", "csv"]).ok();
    assert!(
        left_out.err.contains("1 users are left out") && left_out.err.contains("--cold popular"),
        "{}",
        left_out.err
    );
    assert!(!left_out.out.contains("stranger") && left_out.out.starts_with("user,rank,item,category,score\n"));

    let popular = run(&["--out-format", "csv", "--cold", "popular"]).ok();
    assert!(popular.out.starts_with("user,rank,item,category,score,cold\n"));
    let mut counts = BTreeMap::<String, u32>::new();
    for line in crate::support::cli::log().lines().skip(1) {
        *counts.entry(line.split(',').nth(1).unwrap().to_owned()).or_default() += 1;
    }
    let mut order: Vec<(&String, &u32)> = counts.iter().collect();
    order.sort_by_key(|(item, count)| (std::cmp::Reverse(**count), (*item).clone()));
    let strangers: Vec<&str> = popular.out.lines().filter(|line| line.starts_with("stranger,")).collect();
    for (at, (line, (item, count))) in strangers.iter().zip(order).enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(
            (fields[1], fields[2], fields[4], fields[5]),
            (&*(at + 1).to_string(), &**item, &*count.to_string(), "true")
        );
    }
    assert_eq!(strangers.len(), 3);
    let known = popular.out.lines().filter(|line| line.ends_with(",false"));
    let without: BTreeSet<String> = known.map(|line| line.trim_end_matches(",false").to_owned()).collect();
    assert_eq!(without, lines(&left_out.out).into_iter().filter(|line| !line.starts_with("user,")).collect());

    let text = run(&["--cold", "popular"]).ok().out;
    assert!(text.contains("user stranger (cold)\n"), "{text}");
    let json = run(&["--cold", "popular", "--json"]).ok().out;
    assert!(json.lines().any(|line| line.starts_with("{\"user\":\"stranger\"") && line.ends_with(",\"cold\":true}")));
    // One user who is cold is an error without a fallback.
    folder.run(&["recommend", "model.dmran", "new.csv", "--user", "stranger"]).refused(&["stranger", "--cold popular"]);
    folder.run(&["recommend", "model.dmran", "new.csv", "--user", "stranger", "--cold", "popular"]).ok();
}

#[test]
fn rules_of_the_command_line_hold_in_every_list() {
    let folder = with_a_stranger();
    let run = |more: &[&str]| {
        let args =
            ["recommend", "model.dmran", "log.csv", "--all", "-k", "25", "--include-owned", "--out-format", "csv"];
        folder.run(&[&args[..], more].concat())
    };
    let rows = |more: &[&str]| -> Vec<Vec<String>> {
        let out = run(more).ok().out;
        out.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    folder.write("list.txt", "\u{feff}i3\r\n i4 \n\nnowhere\n");
    let allowed = rows(&["--allow", "list.txt"]);
    assert!(allowed.len() == 80 && allowed.iter().all(|row| row[2] == "i3" || row[2] == "i4"));
    let denied = rows(&["--deny", "list.txt"]);
    assert!(denied.len() == 40 * 23 && denied.iter().all(|row| row[2] != "i3" && row[2] != "i4"));
    assert!(rows(&["--allow-category", "c1", "c2"]).iter().all(|row| row[3] == "c1" || row[3] == "c2"));
    assert!(rows(&["--deny-category", "c1"]).iter().all(|row| row[3] != "c1"));
    let capped = rows(&["--per-category", "2"]);
    assert_eq!(capped.len(), 40 * 8, "two of each of four categories");
    let note = run(&["--allow", "list.txt"]).ok().err;
    assert!(note.contains("--allow: the model does not know 1 of 3 items"), "{note}");

    // What was recommended yesterday is not recommended today.
    let first = ["recommend", "model.dmran", "log.csv", "--all", "-k", "2", "--out", "yesterday.csv"];
    folder.run(&first).ok();
    let yesterday = String::from_utf8(folder.read("yesterday.csv")).unwrap();
    let pairs = |text: &str| -> BTreeSet<(String, String)> {
        let rows = text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        rows.map(|row| (row[0].clone(), row[2].clone())).collect()
    };
    let today = [
        "recommend",
        "model.dmran",
        "log.csv",
        "--all",
        "-k",
        "2",
        "--exclude",
        "yesterday.csv",
        "--out-format",
        "csv",
    ];
    let today = folder.run(&today).ok().out;
    assert!(pairs(&today).is_disjoint(&pairs(&yesterday)) && pairs(&today).len() > 40);

    folder.write("none.txt", "nowhere\n");
    folder.write("empty.txt", "\n");
    run(&["--allow", "none.txt"]).refused(&["none.txt", "knows none of its 1 items", "nowhere"]);
    run(&["--deny", "empty.txt"]).refused(&["empty.txt", "an id a line"]);
    run(&["--allow", "missing.txt"]).refused(&["--allow missing.txt"]);
    run(&["--allow-category", "c9"]).refused(&["--allow-category \"c9\"", "no such category"]);
    run(&["--per-category", "0"]).refused(&["--per-category 0"]);
    run(&["--allow", "list.txt", "--deny", "list.txt"]).refused(&["nothing is left"]);
    run(&["--shortlist", "0"]).refused(&["--shortlist 0"]);
    run(&["--allow", "list.txt", "--out", "list.txt", "--out-format", "csv"]).refused(&["list.txt", "which is read"]);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_has_the_rows_of_csv_and_replaces_nothing_but_its_like() {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, UInt32Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let folder = with_a_stranger();
    let run =
        |out: &str| folder.run(&["recommend", "model.dmran", "new.csv", "--all", "--cold", "popular", "--out", out]);
    run("all.csv").ok();
    run("all.parquet").ok();
    let bytes = folder.read("all.parquet");
    run("all.parquet").ok();
    assert!(folder.read("all.parquet") == bytes, "the same bytes again");
    let file = std::fs::File::open(folder.path("all.parquet")).unwrap();
    let mut got = String::from("user,rank,item,category,score,cold\n");
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (user, item, category) = (text("user"), text("item"), text("category"));
        let rank = batch.column_by_name("rank").unwrap().as_primitive::<UInt32Type>();
        let score = batch.column_by_name("score").unwrap().as_primitive::<Float32Type>();
        let cold = batch.column_by_name("cold").unwrap().as_boolean();
        for at in 0..batch.num_rows() {
            let (user, item, category) = (user.value(at), item.value(at), category.value(at));
            got += &format!("{user},{},{item},{category},{},{}\n", rank.value(at), score.value(at), cold.value(at));
        }
    }
    assert_eq!(got.as_bytes(), folder.read("all.csv"));
    // A log in Parquet is no result of ours.
    folder.write("log.parquet", b"PAR1 something else PAR1");
    run("log.parquet").refused(&["log.parquet", "no result of dmran's"]);
    run("all.xlsx").refused(&["all.xlsx", ".parquet"]);
}

/// Numbers from little-endian bytes.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect()
}

/// The array of a .npy file: rows, width and numbers.
fn npy(bytes: &[u8]) -> (usize, usize, Vec<f32>) {
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let length = usize::from(u16::from_le_bytes(bytes[8..10].try_into().unwrap()));
    assert_eq!((10 + length) % 64, 0, "numbers begin at a multiple of 64");
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (") && header.ends_with('\n'));
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape: Vec<usize> = shape.split(", ").map(|n| n.parse().unwrap()).collect();
    let numbers = floats(&bytes[10 + length..]);
    assert_eq!(numbers.len(), shape[0] * shape[1]);
    (shape[0], shape[1], numbers)
}

#[test]
fn written_vectors_give_the_scores_that_recommend_gives() {
    let folder = with_a_stranger();
    let mean = ["train", "log.csv", "--head", "mean", "-o", "mean.dmran"];
    folder.run(&[&mean[..], TINY].concat()).ok();
    let run = |flags: &[&str]| folder.run(&[&["vectors", "mean.dmran", "new.csv"], flags].concat());
    let ran = run(&["--items", "items.npy", "--users", "users.npy"]).ok();
    assert!(ran.err.contains("1 users are left out"), "{}", ran.err);
    run(&["--items", "items.safetensors", "--users", "users.safetensors"]).ok();

    let (items, users) = (npy(&folder.read("items.npy")), npy(&folder.read("users.npy")));
    let names = |file: &str| serde_json::from_slice::<Vec<String>>(&folder.read(file)).unwrap();
    let (item_ids, user_ids) = (names("items.npy.ids.json"), names("users.npy.ids.json"));
    assert_eq!((items.0, users.0, items.1), (25, 40, users.1));
    assert_eq!((item_ids.len(), user_ids.len()), (25, 40));
    let all = folder.run(&[
        "recommend",
        "mean.dmran",
        "log.csv",
        "--all",
        "-k",
        "25",
        "--include-owned",
        "--out-format",
        "csv",
    ]);
    let mut scores = 0;
    for line in all.ok().out.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let row = |(_, width, all): &(usize, usize, Vec<f32>), ids: &[String], id: &str| {
            let at = ids.iter().position(|one| one == id).unwrap();
            all[at * width..][..*width].to_vec()
        };
        let (user, item) = (row(&users, &user_ids, fields[0]), row(&items, &item_ids, fields[2]));
        let score: f32 = user.iter().zip(&item).map(|(x, y)| x * y).sum();
        assert!((score - fields[4].parse::<f32>().unwrap()).abs() < 1e-5, "{line}: {score}");
        scores += 1;
    }
    assert_eq!(scores, 40 * 25);

    // Safetensors hold the same, and the ids.
    for (file, table, ids, is_items) in
        [("items.safetensors", &items, &item_ids, true), ("users.safetensors", &users, &user_ids, false)]
    {
        let bytes = folder.read(file);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(length % 8, 0);
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let data = |name: &str| {
            let at = |end: usize| header[name]["data_offsets"][end].as_u64().unwrap() as usize;
            &bytes[8 + length..][at(0)..at(1)]
        };
        let (rows, width, numbers) = table;
        let d = header["vectors"]["shape"][1].as_u64().unwrap() as usize;
        assert_eq!((header["vectors"]["shape"][0].as_u64().unwrap() as usize, d + 1), (*rows, *width));
        let vectors = floats(data("vectors"));
        for (row, (short, long)) in vectors.chunks_exact(d).zip(numbers.chunks_exact(*width)).enumerate() {
            assert_eq!(short, &long[..d]);
            let last = if is_items { floats(data("bias"))[row] } else { 1.0 };
            assert_eq!(long[d], last);
        }
        assert_eq!(&serde_json::from_slice::<Vec<String>>(data("ids")).unwrap(), ids);
    }

    // Again over what is ours, never over what is not; and users only where a user is a vector.
    run(&["--items", "items.npy"]).ok();
    folder.write("precious.npy", "not ours");
    run(&["--items", "precious.npy"]).refused(&["precious.npy", "no result of dmran's"]);
    run(&["--items", "items.txt"]).refused(&["items.txt", ".npy or .safetensors"]);
    folder.run(&["vectors", "mean.dmran", "--users", "u.npy"]).refused(&["--users", "no log was named"]);
    folder.run(&[&["train", "log.csv", "--head", "vanilla", "-o", "vanilla.dmran"], TINY].concat()).ok();
    folder.run(&["vectors", "vanilla.dmran", "log.csv", "--users", "u.npy"]).refused(&["--users", "--head mean"]);
    folder.run(&["vectors", "vanilla.dmran", "--items", "v.npy"]).ok();
}

#[test]
fn similar_items_are_the_same_by_command_and_by_line() {
    let folder = Folder::with_model();
    let similar = folder.run(&["similar", "model.dmran", "i3", "i7", "-k", "4", "--json"]).ok().out;
    folder.write("lines", "{\"similar\": \"i3\", \"k\": 4, \"id\": 1}\n{\"similar\": \"i7\", \"k\": 4, \"id\": 2}\n{\"similar\": \"nothing\"}\n");
    let answers = folder.run(&["score", "model.dmran", "lines"]).ok().out;
    let answers: Vec<serde_json::Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, answer) in similar.lines().zip(&answers) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["similar"], answer["recommendations"]);
        assert_eq!(line["similar"].as_array().unwrap().len(), 4);
        assert!(line["similar"].as_array().unwrap().iter().all(|one| one["item"] != line["item"]));
    }
    assert_eq!((&answers[2]["unknown"], &answers[2]["recommendations"]), (&1.into(), &serde_json::json!([])));
    let text = folder.run(&["similar", "model.dmran", "i3", "--per-category", "1"]).ok().out;
    assert!(text.starts_with("item i3\n    1  ") && text.lines().count() == 5, "{text}");
    folder.run(&["similar", "model.dmran", "nothing"]).refused(&["no item \"nothing\""]);
}

#[test]
fn rules_of_a_request_are_those_of_the_command_line() {
    let folder = Folder::with_model();
    folder.write("list.txt", "i3\ni4\ni9\n");
    let history: Vec<[String; 2]> = crate::support::cli::log()
        .lines()
        .filter(|line| line.starts_with("u5,"))
        .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>())
        .map(|fields| [fields[1].clone(), fields[2].clone()])
        .collect();
    for (flags, fields) in [
        (&["--deny", "list.txt"][..], serde_json::json!({ "deny": ["i3", "i4", "i9"] })),
        (&["--allow", "list.txt"], serde_json::json!({ "allow": ["i3", "i4", "i9", "nowhere"] })),
        (
            &["--allow-category", "c1", "--per-category", "2"],
            serde_json::json!({ "allow_categories": ["c1"], "per_category": 2 }),
        ),
        (&["--deny-category", "c1", "c2"], serde_json::json!({ "deny_categories": ["c1", "c2"] })),
        (&["--per-category", "1"], serde_json::json!({ "per_category": 1 })),
    ] {
        let args = ["recommend", "model.dmran", "log.csv", "--user", "u5", "--json", "-k", "12"];
        let by_flag = folder.run(&[&args[..], flags].concat()).ok().out;
        let by_flag: serde_json::Value = serde_json::from_str(&by_flag).unwrap();
        let mut request = fields;
        (request["history"], request["k"]) = (serde_json::json!(history), 12.into());
        folder.write("lines", request.to_string());
        let answer: serde_json::Value =
            serde_json::from_str(&folder.run(&["score", "model.dmran", "lines"]).ok().out).unwrap();
        assert_eq!(answer["recommendations"], by_flag["recommendations"], "{flags:?}");
        // Given candidates are ranked under the same rules, and all of them scored.
        let items: Vec<String> = (0..25).map(|item| format!("i{item}")).collect();
        request["candidates"] = serde_json::json!(items);
        folder.write("lines", request.to_string());
        let among: serde_json::Value =
            serde_json::from_str(&folder.run(&["score", "model.dmran", "lines"]).ok().out).unwrap();
        assert_eq!(among["recommendations"], by_flag["recommendations"], "{flags:?}");
        assert_eq!(among["scores"].as_array().unwrap().iter().filter(|score| score.is_number()).count(), 25);
    }
}

#[test]
fn the_final_model_has_learnt_from_every_event_like_the_measured_one() {
    let folder = Folder::with_log();
    folder
        .run(&[&["train", "log.csv", "-o", "measured.dmran"], TINY, &["--epochs", "4", "--head", "mean"]].concat())
        .ok();
    let card = folder.run(&["inspect", "model", "measured.dmran"]).ok().out;
    let best =
        card.lines().find(|line| line.contains("best epoch")).unwrap().split_whitespace().last().unwrap().to_owned();
    let best = best.trim_end_matches('0').trim_end_matches('.').to_owned();
    let last = ["train", "log.csv", "--protocol", "none", "--like", "measured.dmran", "-o", "final.dmran"];
    let ran = folder.run(&last).ok();
    let events = crate::support::cli::log().lines().count() - 1;
    assert!(
        ran.err.contains(&format!("from {} samples", events - 40)),
        "each user's first event is nobody's: {}",
        ran.err
    );
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("epoch")).count().to_string(), best, "{}", ran.err);
    assert!(ran.out.contains("Every event was learned from") && !ran.out.contains("HR@10"), "{}", ran.out);
    let card = folder.run(&["inspect", "model", "final.dmran"]).ok().out;
    assert!(
        card.contains(&format!("every event was learned from in {best} epochs")) && card.contains("head"),
        "{card}"
    );
    let again = ["train", "log.csv", "--protocol", "none", "--like", "final.dmran", "-q", "-o", "again.dmran"];
    folder.run(&again).ok();
    let weights = |file: &str| {
        let model = Model::load(folder.path(file)).unwrap();
        model.tensor("V").unwrap().to_vec()
    };
    assert_eq!(weights("again.dmran"), weights("final.dmran"), "the final model is like itself");
    assert_ne!(weights("measured.dmran"), weights("final.dmran"));

    // A run's folder is as good as its model; patience and a page have nothing to go by, and do no harm.
    folder.run(&[&["train", "log.csv", "--run", "run"], TINY].concat()).ok();
    let flags = ["--protocol", "none", "--patience", "1", "--report", "page.html", "--epochs", "3"];
    let ran = folder.run(&[&["train", "log.csv", "--like", "run"], &flags[..]].concat()).ok();
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("epoch")).count(), 3, "{}", ran.err);
    assert!(folder.path("page.html").exists());
    folder.run(&["recommend", "final.dmran", "log.csv", "--all", "-k", "1"]).ok();

    folder.run(&["train", "log.csv", "--protocol", "none"]).refused(&["--epochs N", "--like MODEL"]);
    folder.run(&["evaluate", "final.dmran", "log.csv"]).refused(&["--protocol none", "--protocol honest"]);
    folder.run(&["train", "log.csv", "--like", "nowhere.dmran"]).refused(&["nowhere.dmran"]);
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.run(&["train", "log.csv", "--like", "empty"]).refused(&["--like", "no model yet"]);
    folder.run(&["train", "log.csv", "--like", "final.dmran", "-o", "final.dmran"]).refused(&["which is read"]);
}
