//! Logs as people have them: each kind of file with the flags that read it and what comes out, or what is said of it.
#![cfg(feature = "cli")]

#[path = "../support/mod.rs"]
mod support;

mod kinds;

use crate::support::cli::{Folder, Ran};
use std::io::Write;

/// 3 users, 4 items, 10 events: user, item, seconds, `YYYY-MM-DD HH:MM:SS` (UTC).
const EVENTS: [(u32, u32, i64, &str); 10] = [
    (1, 11, 1_535_061_658, "2018-08-23 22:00:58"),
    (1, 12, 1_535_267_785, "2018-08-26 07:16:25"),
    (1, 13, 1_537_519_037, "2018-09-21 08:37:17"),
    (2, 12, 1_539_056_447, "2018-10-09 03:40:47"),
    (2, 14, 1_539_303_312, "2018-10-12 00:15:12"),
    (2, 11, 1_540_207_421, "2018-10-22 11:23:41"),
    (3, 14, 1_540_571_509, "2018-10-26 16:31:49"),
    (3, 13, 1_542_329_050, "2018-11-16 00:44:10"),
    (3, 11, 1_543_342_063, "2018-11-27 18:07:43"),
    (3, 12, 1_545_656_922, "2018-12-24 13:08:42"),
];

/// A file of a header and one line an event.
fn of(header: &str, line: impl Fn(u32, u32, i64, &str) -> String) -> Vec<u8> {
    let rows = EVENTS.iter().map(|(user, item, time, date)| line(*user, *item, *time, date) + "\n");
    (header.to_owned() + &rows.collect::<String>()).into_bytes()
}

/// The plain file.
fn plain() -> Vec<u8> {
    of("user,item,timestamp\n", |u, i, t, _| format!("{u},{i},{t}"))
}

enum Want<'w> {
    /// Users, items, events; and the earliest and latest day where there are times.
    Read(u64, u64, u64, Option<(&'static str, &'static str)>),
    /// Exit code 2, and all of these words.
    Says(&'w [&'w str]),
}

/// All events with their right times.
const ALL: Want = Want::Read(3, 4, 10, Some(("2018-08-23", "2018-12-24")));
/// All events in the order of the file.
const ORDER: Want = Want::Read(3, 4, 10, None);

fn inspect(folder: &Folder, args: &[&str]) -> Ran {
    folder.run(&[&["inspect", "data", "--json"], args].concat())
}

#[track_caller]
fn check(kind: &str, name: &str, content: impl AsRef<[u8]>, flags: &str, want: Want<'_>) {
    let folder = Folder::new();
    folder.write(name, content);
    // Flags are split at blanks; a blank within one is written _.
    let flags: Vec<String> = flags.split_whitespace().map(|flag| flag.replace('_', " ").replace('^', "_")).collect();
    let args: Vec<&str> = [name].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let ran = inspect(&folder, &args);
    match want {
        Want::Says(words) => {
            assert_eq!((ran.code, &*ran.out), (2, ""), "{kind}, {name}: {}", ran.err);
            words
                .iter()
                .for_each(|word| assert!(ran.err.contains(word), "{kind}, {name}: {word:?} is not in {}", ran.err));
        }
        Want::Read(users, items, events, days) => {
            assert_eq!(ran.code, 0, "{kind}, {name}: {}", ran.err);
            let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
            let got = ["users", "items", "interactions"].map(|key| report[key].as_u64().unwrap());
            assert_eq!(got, [users, items, events], "{kind}, {name}: {}", ran.err);
            let day = |key: &str| report["time"][key].as_str().map(str::to_owned);
            let days = days.map(|(first, last)| (first.to_owned(), last.to_owned()));
            assert_eq!(day("first_date").zip(day("last_date")), days, "{kind}, {name}: {}", ran.err);
            assert!(report["taken"]["user"].is_string(), "{kind}, {name}");
        }
    }
}

#[test]
fn quotes_that_do_not_pair_never_swallow_rows() {
    let kind = "quotes";
    let title = |odd: &'static str, at: u32| {
        move |u: u32, i: u32, t: i64, _: &str| {
            let title = if i == at { odd.to_owned() } else { format!("Song {i}") };
            format!("{u},{i},{t},{title}")
        }
    };
    let header = "user,item,timestamp,title\n";
    let lone = of(header, title("\"Heroes", 14));
    check(kind, "log.csv", &lone, "", Want::Says(&["log.csv:6", "quote", "--quote none"]));
    check(kind, "log.csv", &lone, "--quote none", ALL);
    check(kind, "log.csv", &lone, "--on-error skip", Want::Read(3, 3, 8, Some(("2018-08-23", "2018-12-24"))));
    let mut pair = String::from_utf8(of(header, title("Song", 0))).unwrap();
    pair = pair.replacen("Song 12", "\"Song 12", 1).replacen("Song 14", "Song 14\"", 1);
    check(kind, "log.csv", &pair, "", Want::Says(&["log.csv:3", "looks like rows", "--quote none"]));
    check(kind, "log.csv", &pair, "--quote none", ALL);
    let tabs = pair.replace(',', "\t");
    check(kind, "log.tsv", &tabs, "", ALL);
    let first =
        of("title,user,item,timestamp\n", |u, i, t, _| format!("{}Song,{u},{i},{t}", if i == 13 { "\"" } else { "" }));
    check(kind, "log.csv", &first, "", Want::Says(&["log.csv:4", "quote"]));
    let behind = of("user,item,timestamp\n", |u, i, t, _| format!("{u},\"{i}\" live,{t}"));
    check(kind, "log.csv", &behind, "", Want::Says(&["log.csv:2", "text after a closing quote"]));
    let mysql = of("\"user\",\"item\",\"timestamp\"\n", |u, i, t, _| format!("\"{u}\",\"{i}\\\" pipe, x\",{t}"));
    check(kind, "log.csv", &mysql, "", Want::Says(&["log.csv:2", "--escape"]));
    check(kind, "log.csv", &mysql, "--escape \\", ALL);
    let whole = of("user,item,timestamp\n", |u, i, t, _| format!("\"{u}\",\"item, \"\"No.\"\"\n{i}\",{t}"));
    check(kind, "log.csv", &whole, "", ALL);
    let tsv = of("\"user\"\t\"item\"\t\"timestamp\"\n", |u, i, t, _| format!("\"{u}\"\t\"{i}\"\t{t}"));
    check(kind, "log.tsv", &tsv, "", Want::Says(&["tabs, with quotes", "--quote '\"'"]));
    check(kind, "log.tsv", &tsv, "--quote \"", ALL);
    check(kind, "log.csv", of("user, item, timestamp\n", |u, i, t, _| format!("{u}, {i}, {t}")), "", ALL);
    let across = of("user::item::timestamp\n", |u, i, t, _| format!("\"{u}\n::\"::{i}::{t}"));
    check(kind, "log.dat", &across, "", ALL);
    // In a TSV, "a" and a are two items.
    check(kind, "log.tsv", "user\titem\nu\t\"a\"\nu\ta\n", "", Want::Read(1, 2, 2, None));
    check(kind, "log.tsv", "user\titem\nu\t\"a\"\nu\ta\n", "--quote \"", Want::Read(1, 1, 2, None));
}

#[test]
fn times_and_categories_are_not_overlooked() {
    let kind = "columns";
    for name in [
        "date",
        "datetime",
        "event_time",
        "created_at",
        "t_dat",
        "timestamp:float",
        "Event Time",
        "TIMESTAMP",
        "Date-Time",
        "InvoiceDate",
        "unixReviewTime",
        "ts",
    ] {
        let log = of(&format!("user_id,{name},item_id\n"), |u, i, t, _| format!("{u},{t},{i}"));
        check(kind, "log.csv", log, "", ALL);
    }
    let odd = of("user,item,zeit\n", |u, i, t, _| format!("{u},{i},{t}"));
    check(kind, "log.csv", &odd, "", Want::Says(&["zeit", "--time-column", "none"]));
    check(kind, "log.csv", &odd, "--time-column zeit", ALL);
    check(kind, "log.csv", &odd, "--time-column none", ORDER);
    let days = of("user,item,tag\n", |u, i, _, d| format!("{u},{i},{}", &d[..10]));
    check(kind, "log.csv", &days, "", Want::Says(&["tag", "--time-column"]));
    let late = of("{\"user\": 9, \"item\": 11}\n", |u, i, t, _| {
        format!("{{\"user\": {u}, \"item\": {i}, \"timestamp\": {t}}}")
    });
    check(kind, "log.jsonl", &late, "", Want::Says(&["log.jsonl:1", "timestamp", "missing"]));
    check(kind, "log.jsonl", &late, "--on-error skip", ALL);
    let twice = of("user,item,timestamp,timestamp\n", |u, i, t, _| format!("{u},{i},{t},{t}"));
    check(kind, "log.csv", &twice, "", Want::Says(&["two columns", "--time-column 3"]));
    check(kind, "log.csv", &twice, "--time-column 3", ALL);
    check(kind, "log.csv", of("who,what\n", |u, i, _, _| format!("{u},{i}")), "", Want::Says(&["--user-column NAME"]));
}

#[test]
fn units_are_checked_and_named() {
    let kind = "units";
    let times = |factor: i64| of("user,item,timestamp\n", move |u, i, t, _| format!("{u},{i},{}", t * factor));
    for (unit, name, factor) in
        [("ms", "milliseconds", 1_000), ("us", "microseconds", 1_000_000), ("ns", "nanoseconds", 1_000_000_000)]
    {
        let folder = Folder::new();
        folder.write("log.csv", times(factor));
        let said = inspect(&folder, &["log.csv"]);
        let flag = format!("--time-unit {unit}");
        assert!(said.code == 2 && said.err.contains(name) && said.err.contains(&flag), "{}", said.err);
        assert!(said.err.contains("2018-08-23"), "{}", said.err);
        check(kind, "log.csv", times(factor), &flag, ALL);
    }
    check(kind, "log.csv", times(1), "--time-unit s", ALL);
    check(kind, "log.csv", times(1), "--time-unit ms", Want::Says(&["fit seconds", "--time-unit s"]));
    let mixed = of("user,item,timestamp\n", |u, i, t, _| format!("{u},{i},{}", if u == 3 { t * 1000 } else { t }));
    check(kind, "log.csv", mixed, "", Want::Says(&["mixes units", "line 2", "line 8"]));
    let compact = of("user,item,timestamp\n", |u, i, _, d| format!("{u},{i},{}", d[..10].replace('-', "")));
    check(kind, "log.csv", &compact, "", Want::Says(&["--time-format %Y%m%d"]));
    check(kind, "log.csv", &compact, "--time-format %Y%m%d", ALL);
    let rounded = of("user,item,timestamp\n", |u, i, _, _| format!("{u},{i},1.54E+09"));
    check(kind, "log.csv", rounded, "", Want::Says(&["rounded", "1.54E+09"]));
    let thousands = of("user;item;timestamp\n", |u, i, _, _| format!("{u};{i};1,535,061,658"));
    check(kind, "log.csv", thousands, "", Want::Says(&["log.csv:2", "thousands"]));
    // What is asked of the other commands is the same.
    let folder = Folder::with_model();
    let seconds = crate::support::cli::log();
    let ms = seconds.lines().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let thousands = if fields[0] == "user" { "" } else { "000" };
        format!("{},{},{}{thousands},{}\n", fields[0], fields[1], fields[2], fields[3])
    });
    let ms: String = ms.collect();
    folder.write("ms.csv", &ms);
    for command in [&["evaluate", "model.dmran", "ms.csv"][..], &["recommend", "model.dmran", "ms.csv", "--all"]] {
        folder.run(command).refused(&["ms.csv", "milliseconds", "--time-unit ms"]);
        folder.run(&[command, &["--time-unit", "ms"]].concat()).ok();
    }
}

#[test]
fn dates_in_many_forms() {
    let kind = "dates";
    for (name, change) in [
        ("space", &(|d: &str| d.to_owned()) as &dyn Fn(&str) -> String),
        ("T", &|d| d.replace(' ', "T")),
        ("Z", &|d| d.replace(' ', "T") + "Z"),
        ("fraction", &|d| d.to_owned() + ".123456"),
        ("offset", &|d| d.to_owned() + "+00:00"),
        ("short offset", &|d| d.to_owned() + "+0000"),
        ("UTC", &|d| d.to_owned() + " UTC"),
        ("slashes", &|d| d.replace('-', "/")),
        ("day", &|d| d[..10].to_owned()),
        ("minutes", &|d| d[..16].to_owned()),
    ] {
        let csv = of("user,item,when\n", |u, i, _, d| format!("{u},{i},{}", change(d)));
        check(&format!("{kind}: {name}"), "log.csv", csv, "", ALL);
        let json = of("", |u, i, _, d| format!("{{\"user\": {u}, \"item\": {i}, \"date\": {:?}}}", change(d)));
        check(&format!("{kind}: {name}"), "log.jsonl", json, "", ALL);
    }
    let us = |d: &str| format!("{}/{}/{} {}", &d[5..7], &d[8..10], &d[..4], &d[11..16]);
    let log = of("user,item,InvoiceDate\n", |u, i, _, d| format!("{u},{i},{}", us(d)));
    check(kind, "log.csv", &log, "", Want::Says(&["log.csv:2", "--time-format '%m/%d/%Y %H:%M'"]));
    check(kind, "log.csv", &log, "--time-format %m/%d/%Y_%H:%M", ALL);
    for (name, change, format, words) in [
        (
            "month's name",
            &(|d: &str| format!("Aug {}, {}", &d[8..10], &d[..4])) as &dyn Fn(&str) -> String,
            "%b %d, %Y",
            &["log.csv:2", "%b %d, %Y"][..],
        ),
        (
            "without separators",
            &|d| d.replace(['-', ':'], "").replace(' ', "T") + "Z",
            "%Y%m%dT%H%M%SZ",
            &["log.csv:2", "%Y%m%dT%H%M%SZ"][..],
        ),
        (
            "afternoon",
            &|d| format!("{}/{}/{} 09:15:00 PM", &d[5..7], &d[8..10], &d[..4]),
            "%m/%d/%Y %I:%M:%S %p",
            &["log.csv:2", "%m/%d/%Y %I:%M:%S %p"][..],
        ),
    ] {
        let kind = format!("{kind}: {name}");
        let log = of("user;item;date\n", |u, i, _, d| format!("{u};{i};{}", change(d)));
        check(&kind, "log.csv", &log, "", Want::Says(words));
        let flags = format!("--time-format {}", format.replace(' ', "_"));
        let days = if name == "month's name" { ("2018-08-09", "2018-08-27") } else { ("2018-08-23", "2018-12-24") };
        check(&kind, "log.csv", &log, &flags, Want::Read(3, 4, 10, Some(days)));
    }
    check(kind, "log.csv", "user,item,date\n1,2,0000-00-00 00:00:00\n", "", Want::Says(&["log.csv:2", "not a time"]));
    check(kind, "log.csv", "user,item,time\n1,2,22:00:58\n", "", Want::Says(&["log.csv:2", "not a time"]));
    let german = of("user,item,date\n", |u, i, _, d| format!("{u},{i},{}.{}.{}", &d[8..10], &d[5..7], &d[..4]));
    check(kind, "log.csv", &german, "--time-format %d.%m.%Y", ALL);
    check(kind, "log.csv", &german, "--time-format %d/%m/%Y", Want::Says(&["log.csv:2", "not of the format"]));
    check(kind, "log.csv", &german, "--time-format d.m", Want::Says(&["time format"]));
}

#[test]
fn layouts_without_a_header_and_other_ones() {
    let kind = "layouts";
    let dat = of("", |u, i, t, _| format!("{u}::{i}::4::{t}"));
    check(kind, "ratings.dat", &dat, "", ALL);
    check(kind, "ratings.dat", &dat, "--where rating>=5", Want::Says(&["not one of 10 rows", "rating"]));
    check(kind, "u.data", of("", |u, i, t, _| format!("{u}\t{i}\t4\t{t}")), "", ALL);
    check(
        kind,
        "ratings.csv",
        of("userId,movieId,rating,timestamp\n", |u, i, t, _| format!("{u},{i},4.5,{t}")),
        "",
        ALL,
    );
    let inter = of("user_id:token\titem_id:token\trating:float\ttimestamp:float\n", |u, i, t, _| {
        format!("{u}\t{i}\t4.0\t{t}.0")
    });
    check(kind, "ml.inter", inter, "", ALL);
    let taobao = of("", |u, i, t, _| format!("{u},{i},2520377,pv,{t}"));
    const TAOBAO: &str = "--no-header --user-column 1 --item-column 2 --time-column 5";
    check(kind, "UserBehavior.csv", &taobao, "", Want::Says(&["seems to have no header", TAOBAO]));
    check(kind, "UserBehavior.csv", &taobao, TAOBAO, ALL);
    check(kind, "UserBehavior.csv", &taobao, &format!("{TAOBAO} --where 4=buy"), Want::Says(&["not one of 10 rows"]));
    let gowalla = of("", |u, i, _, d| format!("{u}\t{}Z\t30.{i}\t-97.{i}\t{i}", d.replace(' ', "T")));
    const GOWALLA: &str = "--no-header --user-column 1 --item-column 5 --time-column 2";
    check(kind, "checkins.txt", &gowalla, "", Want::Says(&["seems to have no header", GOWALLA]));
    check(kind, "checkins.txt", &gowalla, GOWALLA, ALL);
    let pairs = of("", |u, i, _, _| format!("{u} {i}"));
    check(kind, "ml.txt", &pairs, "", Want::Says(&["no header", "--delimiter space --user-column 1 --item-column 2"]));
    check(kind, "ml.txt", &pairs, "--no-header --delimiter space --user-column 1 --item-column 2", ORDER);
    let lines = "1 11 12 13\n2 12 14 11\n3 14 13 11 12\n";
    check(kind, "Beauty.txt", lines, "", Want::Says(&["no header", "--format sequences"]));
    check(kind, "Beauty.txt", lines, "--format sequences", ORDER);
    check(kind, "log.csv", [&b"# exported\n# twice\n"[..], &plain()].concat(), "", ALL);
    check(kind, "log.csv", of("#user,item,timestamp\n", |u, i, t, _| format!("{u},{i},{t}")), "", ALL);
    check(kind, "log.csv", of("user,item,timestamp\n", |u, i, t, _| format!("{u},{i},{t}\n% x")), "--comment %", ALL);
    check(kind, "log.csv", of("sep=;\r\nuser;item;timestamp\r\n", |u, i, t, _| format!("{u};{i};{t}\r")), "", ALL);
    check(kind, "log.csv", String::from_utf8(plain()).unwrap().replace('\n', "\r"), "", ALL);
    check(kind, "log.csv", of("user,item,timestamp\n", |u, i, t, _| format!("{u},{i},{t},")), "", ALL);
    check(kind, "log.csv", String::from_utf8(plain()).unwrap().replace(',', "\t"), "", ALL);
    let hive = of("", |u, i, t, _| format!("{u}\u{1}{i}\u{1}{t}"));
    const HIVE: &str = "--no-header --delimiter $'\\x01' --user-column 1 --item-column 2 --time-column 3";
    check(kind, "000000", &hive, "", Want::Says(&[HIVE]));
    check(kind, "000000", &hive, "--no-header --delimiter \u{1} --user-column 1 --item-column 2 --time-column 3", ALL);
    let aligned = of("user   item   timestamp\n", |u, i, t, _| format!(" {u}   {i}  {t} "));
    check(kind, "log.txt", &aligned, "", ALL);
    let indexed = of(",user,item,timestamp\n", |u, i, t, _| format!("{t},{u},{i},{t}"));
    check(kind, "log.csv", &indexed, "", ALL);
    check(kind, "log.txt", String::from_utf8(plain()).unwrap().replace(',', "||"), "--delimiter ||", ALL);
}

#[test]
fn reviews_of_amazon_as_they_are() {
    let kind = "amazon";
    let of_2018 = of("", |u, i, t, _| {
        format!(
            "{{\"overall\": 5.0, \"reviewTime\": \"08 23, 2018\", \"reviewerID\": \"A{u}\", \"asin\": \"B{i}\", \"style\": {{\"Color:\": \" Red\"}}, \"unixReviewTime\": {t}}}"
        )
    });
    check(kind, "Toys_5.json", &of_2018, "", ALL);
    let of_2023 = of("", |u, i, t, _| {
        format!(
            "{{\"rating\": 5.0, \"images\": [], \"asin\": \"V{i}{u}\", \"parent_asin\": \"B{i}\", \"user_id\": \"A{u}\", \"timestamp\": {t}826}}"
        )
    });
    check(kind, "Toys.jsonl", &of_2023, "", ALL);
    check(kind, "Toys.jsonl", &of_2023, "--format amazon", ALL);
    check(
        kind,
        "bench.csv",
        of("user_id,parent_asin,rating,timestamp\n", |u, i, t, _| format!("{u},{i},5.0,{t}000")),
        "",
        ALL,
    );
    let metas = [
        (
            "2014",
            of_2018.clone(),
            of("", |_, i, _, _| format!("{{'asin': 'B{i}', 'categories': [['Toys'], ['Toys', 'c{}']]}}", i % 2)),
        ),
        (
            "2018",
            of_2018.clone(),
            of("", |_, i, _, _| format!("{{\"asin\": \"B{i}\", \"category\": [\"Toys\", \"c{}\"]}}", i % 2)),
        ),
        (
            "2023",
            of_2023,
            of("", |_, i, _, _| {
                format!(
                    "{{\"main_category\": \"Toys\", \"parent_asin\": \"B{i}\", \"categories\": [\"Toys\", \"c{}\"], \"details\": {{}}}}",
                    i % 2
                )
            }),
        ),
    ];
    for (year, reviews, meta) in metas {
        let folder = Folder::new();
        folder.write("reviews.json", reviews);
        folder.write("meta.json", meta);
        let ran = inspect(&folder, &["reviews.json", "--meta", "meta.json"]).ok();
        let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((report["categories"].as_u64(), report["users"].as_u64()), (Some(2), Some(3)), "{year}");
    }
    let folder = Folder::new();
    folder.write("reviews.json", of_2018);
    folder.write("meta.json", "{\"asin\": \"Q9\", \"category\": [\"x\"]}\n");
    let ran = folder.run(&["inspect", "data", "reviews.json", "--meta", "meta.json"]).ok();
    assert!(ran.out.contains("not one of its 1 entries"), "{}", ran.out);
}

#[test]
fn choices_are_seen() {
    let folder = Folder::new();
    folder.write("log.csv", of("customer_id,article_id,t_dat,price\n", |u, i, _, d| format!("{u},{i},{},1", &d[..10])));
    let line = "user = customer_id, item = article_id, time = t_dat (dates), category = none; not used: price";
    let ran = folder.run(&["inspect", "data", "log.csv"]).ok();
    assert!(ran.out.contains(line), "{}", ran.out);
    assert!(ran.out.contains("to train: dmran train --user-column customer_id"), "{}", ran.out);
    let report: serde_json::Value = serde_json::from_str(&inspect(&folder, &["log.csv"]).ok().out).unwrap();
    assert_eq!(report["taken"]["time_kind"], "dates");
    assert_eq!(report["taken"]["not_used"][0], "price");
    for (what, content, words) in [
        ("NA", "user,item\nNA,a\nb,c\nNA,d\n", "2 events are of the user \"NA\" (line 2)"),
        ("header", "user,item\na,b\nuser,item\na,c\n", "1 lines repeat the header (line 3)"),
        ("categories", "user,item,category\na,b,x\nc,b,y\n", "1 of 2 rows have another category"),
        ("floats", "user,item\n1.0,a\n2.0,b\nv1.0,c\n", "2 ids end in .0 (1.0, line 2)"),
        ("lists", "user,item\na,\"[1, 2]\"\nb,c\n", "1 ids look like lists ([1, 2], line 2)"),
        ("small times", "user,item,time\na,b,17000\n", "before 1980"),
    ] {
        folder.write("odd.csv", content);
        let ran = folder.run(&["inspect", "data", "odd.csv"]).ok();
        assert!(ran.out.contains(words), "{what}: {}", ran.out);
    }
}

#[test]
fn rows_are_chosen_by_conditions() {
    let kind = "where";
    let log = of("user,item,timestamp,event,n\n", |u, i, t, _| {
        format!("{u},{i},{t},{},{}", if i == 11 { "purchase" } else { "view" }, i as i64 - 12)
    });
    let purchases = Want::Read(3, 1, 3, Some(("2018-08-23", "2018-11-27")));
    check(kind, "log.csv", &log, "--where event=purchase", purchases);
    check(kind, "log.csv", &log, "--where n>0", Want::Read(3, 2, 4, Some(("2018-09-21", "2018-11-16"))));
    check(kind, "log.csv", &log, "--where n>0 --where n<2", Want::Read(2, 1, 2, Some(("2018-09-21", "2018-11-16"))));
    check(kind, "log.csv", &log, "--where colour=red", Want::Says(&["colour", "the columns are", "event"]));
    check(kind, "log.csv", &log, "--where event=buy", Want::Says(&["not one of 10 rows", "event=buy", "purchase"]));
    check(kind, "log.csv", &log, "--where event", Want::Says(&["no condition"]));
    let json = of("", |u, i, t, _| {
        format!("{{\"user\": {u}, \"item\": {i}, \"ts\": {t}, \"e\": {{\"kind\": \"{}\"}}}}", i % 2)
    });
    check(kind, "log.jsonl", json, "--where e.kind=1", Want::Read(3, 2, 5, Some(("2018-08-23", "2018-11-27"))));
}

#[test]
fn containers_and_encodings_are_read_or_named() {
    let kind = "containers";
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(plain().into_iter().flat_map(|byte| [byte, 0])).collect();
    for (name, content, words) in [
        ("log.zip", b"PK\x03\x04....".to_vec(), &["zip", "unzip -p log.zip"][..]),
        ("log.csv.bz2", b"BZh91AY&SY".to_vec(), &["bzip2", "bzcat"]),
        ("log.csv.xz", b"\xfd7zXZ\0\0\x04".to_vec(), &["xz", "xzcat"]),
        ("log.csv", utf16, &["UTF-16", "iconv"]),
        ("log.csv", b"user,item\n1,tea \xa3\n".to_vec(), &["log.csv:2", "CP1252"]),
        ("log.json", b"[{\"user\": 1, \"item\": 2}]\n".to_vec(), &["JSON array", "jq -c '.[]'"]),
        ("log.json", b"[\n {\n  \"user\": 1\n }\n]\n".to_vec(), &["JSON array", "jq -c"]),
        ("log.json", b"{\n \"user\": 1\n}\n".to_vec(), &["over several lines", "jq -c"]),
        ("log.json", b"{\"user\": {\"0\": 1}, \"item\": {\"0\": 2}}\n".to_vec(), &["object of columns", "orient"]),
        ("log.db", b"SQLite format 3\0".to_vec(), &["SQLite", "sqlite3 -header"]),
        ("log.parquet", b"PAR1 not really PAR1".to_vec(), &["log.parquet", "damaged"]),
    ] {
        let folder = Folder::new();
        folder.write(name, content);
        inspect(&folder, &[name]).refused(words);
    }
    let gz = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    check(kind, "log.csv.gz", gz(&gz(&plain())), "", Want::Says(&["compressed twice", "zcat"]));
    check(
        kind,
        "log.json",
        "{\"data\": [{\"user\": 1, \"item\": 2}]}\n",
        "",
        Want::Says(&["around a list", "jq -c '.data[]' log.json"]),
    );
    check(
        kind,
        "log.jsonl",
        "{\"user\": 1, \"item\": 2},\n{\"user\": 1, \"item\": 3}\n",
        "",
        Want::Says(&["log.jsonl:1"]),
    );
    check(kind, "log.csv.gz", gz(&plain()), "", ALL);
    check(kind, "log.csv.zst", zstd::encode_all(&plain()[..], 1).unwrap(), "", ALL);
    check(kind, "log.csv", [&b"\xef\xbb\xbf"[..], &plain()].concat(), "", ALL);
}

#[test]
fn pandas_and_json() {
    let kind = "json";
    let with =
        |more: &'static str| of("", move |u, i, t, _| format!("{{\"user\": {u}, \"item\": {i}, \"ts\": {t}{more}}}"));
    for more in [
        ", \"price\": NaN",
        ", \"text\": \"bad \\ud83d\"",
        ", \"category_id\": 0.0",
        ", \"category\": [\"Toys\", \"c0\"]",
    ] {
        check(kind, "log.jsonl", with(more), "", ALL);
    }
    let floats = of("", |u, i, t, _| format!("{{\"user\": {u}.0, \"item\": {i}.0, \"ts\": {t}.0}}"));
    check(kind, "log.jsonl", floats, "", ALL);
    let python = of("", |u, i, _, d| {
        format!(
            "{{u'user_id': u'{u}', u'product_id': u'{i}', u'date': u'{d}', u'text': u'it\\'s \"ok\"', u'early': False}}"
        )
    });
    check(kind, "steam.json", python, "", ALL);
    let nested =
        of("", |u, i, t, _| format!("{{\"user\": {{\"id\": {u}}}, \"product\": {{\"sku\": \"A{i}\"}}, \"ts\": {t}}}"));
    check(kind, "log.jsonl", &nested, "", Want::Says(&["user.id", "product.sku", "--item-column"]));
    check(kind, "log.jsonl", &nested, "--user-column user.id --item-column product.sku", ALL);
}

#[test]
fn several_files_are_one_log() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("logs")).unwrap();
    let text = String::from_utf8(plain()).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).collect();
    let part = |rows: &[&str]| format!("user,item,timestamp\n{}\n", rows.join("\n"));
    folder.write("logs/jan.csv", part(&rows[..4]));
    folder.write("logs/feb.csv", part(&rows[4..]));
    folder.write("logs/_SUCCESS", "");
    for args in [&["logs"][..], &["logs/*.csv"], &["logs/jan.csv", "logs/feb.csv"]] {
        let report: serde_json::Value = serde_json::from_str(&inspect(&folder, args).ok().out).unwrap();
        assert_eq!((&report["interactions"], &report["users"]), (&10.into(), &3.into()), "{args:?}");
        assert_eq!(report["taken"]["files"], 2);
    }
    folder.write("logs/mar.csv", "user,item\n1,2\n");
    inspect(&folder, &["logs"]).refused(&["feb.csv", "mar.csv", "time"]);
    inspect(&folder, &["none/*.csv"]).refused(&["no file"]);
}

#[test]
fn times_that_are_none_or_count_otherwise_are_refused_with_what_helps() {
    let kind = "clocks";
    let rows = |header: &str, times: [&str; 4]| {
        let rows = times.iter().enumerate().map(|(at, time)| format!("u{},i{at},{time}\n", at / 2));
        format!("user,item,{header}\n{}", rows.collect::<String>())
    };
    let good = ["1535061658", "1535061659"];
    for (header, times, words) in [
        (
            "date",
            ["45000", "45001", "45002", "45003"],
            &["spreadsheet's days", "2023-03-15", "(t - 25569) * 86400"][..],
        ),
        ("date", ["45000.5", "45001.25", "45002", "45003"], &["spreadsheet's days"]),
        ("date", ["2459001", "2459002", "2459003.5", "2459004"], &["Julian days", "2020-05-31"]),
        ("ts", ["132500000000000000"; 4], &["since 1601", "t / 10000000 - 11644473600"]),
        ("timestamp", ["637500000000000000"; 4], &["ticks", "2021-02-27"]),
        ("ts", ["13250000000000000"; 4], &["Chrome", "2020-11-16"]),
        (
            "ts",
            [good[0], "45000", good[1], good[1]],
            &["1535061658 (line 2) fits seconds", "45000 (line 3) fits a spreadsheet"],
        ),
        ("ts", ["0", good[0], good[1], "0"], &["0 (line 2) stands for no time", "in 2 rows", "--where 'ts>0'"]),
        ("ts", [good[0], "-1", good[1], good[1]], &["-1 (line 3)", "--where 'ts>0'"]),
        ("ts", [good[0], good[1], good[1], "253402300799"], &["9999-12-31 (line 5)", "--where 'ts<4102444800'"]),
        (
            "date",
            ["2018-08-23", "1970-01-01", "2018-08-24", "2018-08-25"],
            &["1970-01-01 (line 3)", "date!=1970-01-01"],
        ),
        ("date", ["2018-08-23", "1900-01-01", "2018-08-24", "2018-08-25"], &["1900-01-01 (line 3)"]),
        ("date", ["2018-08-23", "2999-12-31", "2018-08-24", "2018-08-25"], &["2999-12-31 (line 3)"]),
        ("date", ["2018-08-23", "9999-12-31", "2018-08-24", "2018-08-25"], &["9999-12-31", "--where"]),
        ("time", ["12:30:05"; 4], &["without its day"]),
        (
            "year,month,day",
            ["2020,1,5", "2020,2,7", "2021,3,1", "2021,12,2"],
            &["\"year\", \"month\", \"day\"", "awk", "$3,$4,$5"],
        ),
        ("day,month,year,hour", ["5,1,2020,7"; 4], &["$5,$4,$3,$6", "%02d:00"]),
        ("jahr,monat,tag", ["2020,1,5"; 4], &["\"jahr\", \"monat\", \"tag\""]),
        ("ts", [good[0], "1", good[1], good[1]], &["1 (line 3)", "--where 'ts>=315532800'"]),
        ("date,hour", ["2018-08-23,7"; 4], &["no time of day", "\"hour\"", "--time-column \"date\""]),
        ("date,at", ["2018-08-23,22:00:58"; 4], &["no time of day", "\"at\""]),
        ("week", ["1", "2", "3", "4"], &["\"week\"", "--position-column \"week\""]),
        ("order_dow,order_hour_of_day", ["1,7"; 4], &["order_hour_of_day"]),
    ] {
        check(kind, "log.csv", rows(header, times), "", Want::Says(words));
    }
    let unknown = rows("ts", ["0", good[0], good[1], "0"]);
    check(kind, "log.csv", unknown, "--where ts>0", Want::Read(2, 2, 2, Some(("2018-08-23", "2018-08-23"))));
    let far = rows("date", ["2018-08-23", "9999-12-31", "2018-08-24", "2018-08-25"]);
    check(kind, "log.csv", far, "--where date!=9999-12-31", Want::Read(2, 3, 3, Some(("2018-08-23", "2018-08-25"))));
    check(kind, "log.csv", rows("year", ["1995"; 4]), "", Want::Read(2, 4, 4, None));
    check(kind, "log.csv", rows("week", ["1", "2", "1", "2"]), "--position-column week", Want::Read(2, 4, 4, None));
    let json = "{\"user\": 1, \"item\": 2, \"year\": 2020, \"month\": 1, \"day\": 5}\n";
    check(kind, "log.jsonl", json, "", Want::Says(&["make_timestamp(year, month, day, 0, 0, 0)", "read_json"]));
    for (name, content, words) in [
        ("single.csv", "'user','item'\n'a','b'\n", &["single quotes", "--quote \"'\""][..]),
        (
            "curly.csv",
            "\u{201c}user\u{201d},\u{201c}item\u{201d}\n\u{201c}a\u{201d},\u{201c}b\u{201d}\n",
            &["curly quotes", "sed"],
        ),
        ("whole.csv", "\"user,item\"\n\"a,b\"\n", &["as a whole", "sed"]),
    ] {
        check("quotes", name, content, "", Want::Says(words));
    }
}
