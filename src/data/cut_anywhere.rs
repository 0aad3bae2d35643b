//! Logs that are hard to cut, cut everywhere: blocks of any size and any number of threads give the same log and the same
//! messages.

use std::path::Path;

use rayon::ThreadPool;

use super::options::{Column, Duplicates, Format, OnError, ReadOptions, Ties};
use super::read::read_source;
use super::source::Source;
use super::{Log, LogBuilder};

/// A name, which has a meaning for the reader, how it is read, and the text.
type Case = (&'static str, ReadOptions, Vec<u8>);

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// All that reading says: the log, its fingerprint, the line of choices; or the message.
fn read(case: &Case, pool: &ThreadPool, block: usize) -> Result<(Log, u64, String), String> {
    let (name, options, text) = case;
    pool.install(|| {
        let mut builder = LogBuilder::new(options.clone());
        let source = Source::new(&text[..], (*name).to_owned()).map_err(|error| error.to_string())?;
        let read = read_source(source.in_blocks(block), Path::new(name), options, &mut builder);
        let log = read.and_then(|()| builder.finish()).map_err(|error| error.to_string())?;
        let (hash, taken) = (log.hash(), format!("{:?}", log.taken));
        Ok((log, hash, taken))
    })
}

fn cases() -> Vec<Case> {
    let plain = ReadOptions::default;
    let skip = || ReadOptions { on_error: OnError::Skip, ..plain() };
    let numbered = |mut options: ReadOptions| {
        options.no_header = true;
        options.columns.user = Column::Named("1".into());
        options.columns.item = Column::Named("2".into());
        options
    };
    let quotes = "user,item,timestamp,category\r\n\"a, b\",\"i\"\"1\"\"\",1500000000,x\r\n\r\nc,\"two\nlines\",1500000001,\
                  \"y\n\n\"\"z\"\"\"\r\nd,\"\"\"\",1500000002,x,\nuser,item,timestamp,category\n  \ne,\"q\" ,1500000003,\n\
                  NA,i1,1500000004,w\nf,\"no\" end,1500000005,x\ng,,1500000006,x\nh,\"i\n\n\n1\",1500000007,x\n\
                  c,\"two\nlines\",1500000001,v\nj,k,soon,x\nl,m\nn,\"o";
    let tied = "user,item,date,rating\na,x,2020-01-01 00:00:00.25,5\nb,\"y\n\",2020-01-01,4\na,z,2020-01-01,1\n\
                a,x,2020-01-01 00:00:00.5,2\nb,x,2020-01-02,3\nb,z,2020-01-02,3\nc,\"y\n\",2020-01-03,5\n\
                a,\"y\n\",2020-01-02,5\n";
    let marked = "# made by hand\nuser::item\n\"a\nb\"::\"c::d\"\n// \"x\nu::\"v\n\"\n// done\ne::\"f\n\n\"\ng::h\n";
    let swallowed = "user,item,timestamp,title\nu,i,1500000000,\"Heroes\nv,j,1500000001,Song\nw,k,1500000002,Live 12\"\n\
                     x,l,1500000003,\"a\nb\"\ny,m,1500000004,\"last";
    let late = "{\"user\": 1, \"item\": \"a\\n\"}\n\n{\"user\": 2, \"item\": \"b\"}\r\n[1]\n{\"user\": 2}\n\
                {\"item\": \"c\", \"user\": 3.0, \"x\": {\"timestamp\": 5}}\n";
    let far = "x".repeat(70);
    let python: String =
        (0..9).map(|i| format!("{{'user': 'u{}', u'item': 'it\\'s {i}', 'time': {}}}\n", i % 2, 9 - i)).collect();
    let mut cases: Vec<Case> = vec![
        ("quotes.csv", skip(), quotes.into()),
        ("quotes.csv", plain(), quotes.into()),
        ("quotes.csv", ReadOptions { filters: vec!["category!=x".parse().unwrap()], ..skip() }, quotes.into()),
        ("mac.csv", skip(), "user,item,timestamp\ra,\"b\rc\",1\r\rd,e,2".into()),
        ("tied.csv", plain(), tied.into()),
        ("tied.csv", ReadOptions { ties: Ties::Random(3), duplicates: Duplicates::KeepFirst, ..plain() }, tied.into()),
        ("tied.csv", ReadOptions { k_core_users: 2, k_core_items: 2, ..plain() }, tied.into()),
        ("marked.csv", ReadOptions { comment: Some("//".into()), ..skip() }, marked[15..].into()),
        ("marked.csv", plain(), marked.into()),
        ("swallowed.csv", skip(), swallowed.into()),
        ("swallowed.csv", plain(), swallowed.into()),
        (
            "escaped.csv",
            ReadOptions { escape: Some('\\'), ..skip() },
            "user,item\n\"a\\\"\n\\\\\",b\n\"\\\n\",\"c\\\"\"\n\"d\" x,e\nf,\"\\".into(),
        ),
        (
            "blanks.txt",
            numbered(ReadOptions { delimiter: Some(" ".into()), ..skip() }),
            "1  \"a b\"\n 2 \"c\n\nd\" \n3\t\"e\n4 f\n".into(),
        ),
        (
            "tabs.csv",
            ReadOptions { delimiter: Some("\t\t".into()), quote: Some("\"".parse().unwrap()), ..skip() },
            "user\t\titem\n\"a\nb\"\t\t\"c\t\td\"\n\"e\n\"\tf\n\"g\n\" \t\th\n".into(),
        ),
        ("late.jsonl", skip(), late.into()),
        ("late.jsonl", plain(), late.into()),
        ("python.json", plain(), python.into()),
        (
            "lines.txt",
            ReadOptions { format: Format::Sequences, ..skip() },
            [format!("1 a b c\n# none\n\n2 {far} a\n3\n1 d").as_bytes(), b"\xff\n"].concat(),
        ),
    ];
    // A key that appears only behind what is looked at beforehand, with a malformed line above it, on it, below it.
    let first = format!("{{\"user\": 1, \"item\": 2, \"text\": \"{}\"}}\n", "x".repeat(80)).repeat(13_500);
    assert!(first.len() > 1 << 20);
    let key = "{\"user\": 1, \"item\": 2, \"timestamp\": 1500000000}\n";
    for rest in [key.to_owned(), format!("$\n{key}"), format!("{key}$\n"), key.replace("1,", "{},")] {
        cases.push(("key.jsonl", plain(), (first.clone() + &rest).into()));
        cases.push(("key.jsonl", skip(), (first.clone() + &rest).into()));
    }
    cases
}

#[test]
fn blocks_of_any_size_and_any_number_of_threads_give_the_same_log() {
    let pools = [1, 2, 5].map(pool);
    for case in cases() {
        let whole = read(&case, &pools[0], case.2.len() + 1);
        let small = case.2.len() < 10_000;
        let sizes = if small { (1..80).chain([200, 700]).collect::<Vec<_>>() } else { vec![1_000, 1 << 18] };
        for block in sizes {
            for (threads, pool) in [1, 2, 5].into_iter().zip(&pools) {
                if threads == 1 || block % 7 == 3 || !small {
                    assert_eq!(read(&case, pool, block), whole, "{}, blocks of {block}, {threads} threads", case.0);
                }
            }
        }
    }
}

#[test]
fn damaged_logs_end_in_the_same_log_or_message_however_they_are_cut() {
    let alone = pool(1);
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.2.len() < 10_000).collect();
    let mut state = 5u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut logs, mut messages) = (0, 0);
    for round in 0..4_000 {
        let (name, options, text) = &cases[round % cases.len()];
        let mut text = text.clone();
        for _ in 0..=random(4) {
            let (at, piece) = (random(text.len() + 1), random(text.len() + 1));
            let other =
                [&b"\""[..], b"\n", b"\r\n", b",", b"::", b"\t", b"\\", b"#", b"{", b"}", b"'", b"\xff", b"0", b" "];
            match random(4) {
                0 => text.truncate(at.max(1)),
                1 => drop(text.splice(at..at, other[random(other.len())].iter().copied())),
                2 => drop(text.splice(at.min(piece)..at.max(piece).min(at.min(piece) + 9), [])),
                _ => {
                    let copied = text[at.min(piece)..at.max(piece).min(at.min(piece) + 40)].to_vec();
                    drop(text.splice(piece..piece, copied));
                }
            }
            if text.is_empty() {
                text.push(b'x');
            }
        }
        let case: Case = (name, options.clone(), text);
        let whole = read(&case, &alone, case.2.len() + 1);
        match &whole {
            Ok((log, ..)) => {
                assert_eq!(log.dataset.users(), log.users.len());
                logs += 1;
            }
            Err(message) => {
                assert!(message.len() < 10_000);
                messages += 1;
            }
        }
        for block in [1, 2 + random(60)] {
            assert_eq!(
                read(&case, &alone, block),
                whole,
                "{name}, blocks of {block}: {:?}",
                String::from_utf8_lossy(&case.2)
            );
        }
    }
    assert!(logs > 500 && messages > 500, "{logs} logs, {messages} messages");
}
