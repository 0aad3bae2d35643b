//! CSV and TSV: what reads, in which order it ends up, and what is left out on request.

use dmran::data::{
    Column, Columns, DataError, DataReport, Duplicates, Log, OnError, ReadOptions, Ties, TimeUnit, read_from,
};

fn read(text: &str, options: &ReadOptions) -> Result<Log, DataError> {
    read_from(text.as_bytes(), "log.csv", options)
}

fn log(text: &str) -> Log {
    read(text, &ReadOptions::default()).unwrap()
}

/// The names of a user's items in order, each with its time where there is one.
fn history(log: &Log, user: &str) -> Vec<(String, Option<i64>)> {
    let events = log.dataset.history(log.users.id(user).expect("a known user"));
    let name = |&item: &u32| log.items.name(item).to_owned();
    let times = events.times.iter().map(|&time| Some(time)).chain(std::iter::repeat(None));
    events.items.iter().map(name).zip(times).collect()
}

/// The names of a user's items in order.
fn items(log: &Log, user: &str) -> String {
    let names: Vec<String> = history(log, user).into_iter().map(|(name, _)| name).collect();
    names.join(" ")
}

#[test]
fn events_are_sorted_by_user_and_time_with_ties_in_file_order() {
    let log = log("user,item,timestamp,category\n\
                   b,x,30,c2\n\
                   a,z,20,c1\n\
                   b,y,10,c1\n\
                   a,y,20,c1\n\
                   a,x,-5,c2\n");
    assert_eq!(log.users.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(log.items.names().collect::<Vec<_>>(), ["x", "y", "z"]);
    let at = |name: &str, time| (name.to_string(), Some(time));
    assert_eq!(history(&log, "a"), [at("x", -5), at("z", 20), at("y", 20)]);
    assert_eq!(history(&log, "b"), [at("y", 10), at("x", 30)]);
    let category = |item: &str| {
        let id = log.dataset.category_of(log.items.id(item).unwrap()).unwrap();
        log.categories.name(id)
    };
    assert_eq!(["x", "y", "z"].map(category), ["c2", "c1", "c1"]);
    assert_eq!(log.dataset.popularity(), [2, 2, 1]);
}

#[test]
fn byte_order_marks_line_ends_quotes_blanks_and_spaces_do_not_matter() {
    let plain = log("user,item,timestamp\nann lee,a,1\nbob,\"b,\"\"c\"\"\",2\n");
    assert_eq!(items(&plain, "bob"), "b,\"c\"");
    for text in [
        "\u{feff}user,item,timestamp\r\nann lee,a,1\r\nbob,\"b,\"\"c\"\"\",2\r\n",
        "user,item,timestamp\nann lee,a,1\nbob,\"b,\"\"c\"\"\",2",
        "\n \r\n  user , item,timestamp \n\n ann lee ,  a, 1 \n   \n\"bob\",\"b,\"\"c\"\"\",\"2\"\n\n",
        "note,USER,extra,Item,Timestamp\nn,ann lee,\u{e9},a,1\n,bob,,\"b,\"\"c\"\"\",2\n",
    ] {
        assert_eq!(log(text), plain, "{text:?}");
    }
    // Quotes mean nothing in a TSV.
    let tabs = "user\titem\ttimestamp\nann lee\ta\t1\nbob\tb,\"c\"\t2\n";
    for name in ["log.tsv", "log.TSV.gz", "log.csv", "log.txt", "log"] {
        let log = read_from(tabs.as_bytes(), name, &ReadOptions::default()).unwrap();
        assert_eq!(log, plain, "{name}");
    }
    let options = ReadOptions { delimiter: Some(";".into()), ..ReadOptions::default() };
    let text = "user;item;timestamp\nann lee;a;1\nbob;\"b,\"\"c\"\"\";2\n";
    assert_eq!(read(text, &options).unwrap(), plain);
    assert_eq!(log(text), plain, "a semicolon is found as well");
}

#[test]
fn a_line_break_in_quotes_is_part_of_the_name() {
    let log = log("user,item,timestamp\nu,\"two\nlines\",1\nu,b,2\n");
    assert_eq!(items(&log, "u"), "two\nlines b");
}

#[test]
fn columns_by_name() {
    let options = ReadOptions {
        columns: Columns {
            user: Column::Named("who".into()),
            item: Column::Named("what".into()),
            time: Column::Named("when".into()),
            category: Column::Ignore,
            ..Columns::default()
        },
        ..ReadOptions::default()
    };
    let log = read("what,who,when,user,category\na,u,2,x,k\nb,u,1,x,k\n", &options).unwrap();
    assert_eq!(items(&log, "u"), "b a");
    assert_eq!(log.dataset.categories(), 0);
    assert_eq!(log.dataset.category_of(0), None);
}

#[test]
fn order_only_logs() {
    let by_position = log("user,item,position\nu,c,2\nv,a,0\nu,a,-1\nu,b,1\n");
    assert!(!by_position.dataset.has_time());
    assert_eq!(items(&by_position, "u"), "a b c");
    let text = "user,item\nu,c\nv,a\nu,a\nu,b\n";
    let by_file = log(text);
    assert_eq!(items(&by_file, "u"), "c a b");
    assert!(by_file.dataset.history(0).times.is_empty());
    let random = ReadOptions { ties: Ties::Random(1), ..ReadOptions::default() };
    assert_eq!(read(text, &random).unwrap(), by_file, "there are no ties to break");
    let report = DataReport::new(&by_file);
    assert_eq!((report.time, report.tied_neighbours), (None, None));
    // With both, the position orders events of one time.
    let both = log("user,item,timestamp,position\nu,a,5,2\nu,b,5,1\nu,c,4,9\n");
    assert_eq!(items(&both, "u"), "c b a");
}

#[test]
fn fractions_of_a_second_order_events() {
    let text = "user,item,timestamp\nu,a,5\nu,b,4.75\nu,c,4.5\nu,d,-0.5\nu,e,-1\n";
    let log = log(text);
    assert_eq!(items(&log, "u"), "e d c b a");
    assert_eq!(log.dataset.history(0).times, [-1, -1, 4, 4, 5]);
    let options = ReadOptions { time_unit: TimeUnit::Milliseconds, ..ReadOptions::default() };
    let log = read("user,item,timestamp\nu,a,2001\nu,b,2000\nu,c,999\n", &options).unwrap();
    assert_eq!(items(&log, "u"), "c b a");
    assert_eq!(log.dataset.history(0).times, [0, 2, 2]);
}

#[test]
fn negative_and_huge_times_neither_overflow_nor_lose_their_order() {
    let log = log("user,item,timestamp\n\
                   u,a,9223372036854775807\n\
                   u,b,-9223372036854775808\n\
                   u,c,0\n\
                   u,d,-1\n");
    assert_eq!(items(&log, "u"), "b d c a");
    let report = DataReport::new(&log);
    let time = report.time.as_ref().unwrap();
    assert_eq!((time.first, time.last), (i64::MIN, i64::MAX));
    assert!(report.to_string().contains("after the year 2099"));
    let events = log.dataset.history(0);
    let last = dmran::spec::time::bucket(dmran::scorer::TimeKind::Paper, 14, events.times[0], events.times[3]);
    assert_eq!(last, 13);
}

#[test]
fn random_ties_depend_on_the_seed_alone() {
    let rows: String = (0..40).map(|i| format!("u,i{i:02},{}\n", i / 20)).collect();
    let text = format!("user,item,timestamp\n{rows}");
    let with = |text: &str, seed| {
        let options = ReadOptions { ties: Ties::Random(seed), ..ReadOptions::default() };
        items(&read(text, &options).unwrap(), "u")
    };
    let one = with(&text, 1);
    assert_eq!(one, with(&text, 1));
    assert_ne!(one, with(&text, 2));
    assert_ne!(one, items(&log(&text), "u"));
    // Only within one time, and whoever else is in the log.
    let mut first: Vec<&str> = one.split(' ').take(20).collect();
    first.sort_unstable();
    assert_eq!(first[19], "i19");
    let more = text.replacen('\n', "\nz,q,1\na,q,1\n", 1);
    assert_eq!(with(&more, 1), one);
}

#[test]
fn keep_first_keeps_the_earliest() {
    let text = "user,item,timestamp\nu,a,30\nu,b,20\nu,a,10\nv,a,5\nu,a,10\n";
    let all = log(text);
    assert_eq!(items(&all, "u"), "a a b a");
    assert_eq!(DataReport::new(&all).duplicates, 2);
    let options = ReadOptions { duplicates: Duplicates::KeepFirst, ..ReadOptions::default() };
    let first = read(text, &options).unwrap();
    assert_eq!(history(&first, "u"), [("a".to_string(), Some(10)), ("b".to_string(), Some(20))]);
    assert_eq!(items(&first, "v"), "a");
    assert_eq!(first.stats.duplicates_dropped, 2);
    assert_eq!(DataReport::new(&first).duplicates, 0);
}

#[test]
fn the_k_core_is_cut_until_nothing_changes() {
    // w falls for item r's sake, then item q has one event left, then v has one, and so on.
    let text = "user,item\n\
                a,x\na,y\nb,x\nb,y\n\
                v,q\nv,p\nw,q\nw,r\nz,p\n";
    let core = |users, items| {
        let options = ReadOptions { k_core_users: users, k_core_items: items, ..Default::default() };
        read(text, &options)
    };
    let log = core(2, 2).unwrap();
    assert_eq!(log.users.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(log.items.names().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(log.stats.core_dropped, 5);
    assert_eq!(core(1, 1).unwrap().dataset.events(), 9);
    assert_eq!(core(1, 2).unwrap().dataset.events(), 8, "items alone");
    assert_eq!(core(2, 1).unwrap().dataset.events(), 8, "users alone");
    let error = core(3, 3).unwrap_err();
    assert!(matches!(error, DataError::EmptyCore { events: 9, users: 3, items: 3 }), "{error}");
}

#[test]
fn the_first_category_counts_and_the_missing_one_is_unknown() {
    let log = log("user,item,category\nu,a,\nu,a,k2\nv,a,k1\nv,a,\nu,b,\nu,c,k1\n");
    let category = |item: &str| log.categories.name(log.dataset.category_of(log.items.id(item).unwrap()).unwrap());
    assert_eq!(["a", "b", "c"].map(category), ["k2", "unknown", "k1"]);
    assert_eq!(log.stats.category_conflicts, 1);
    assert_eq!(log.categories.names().collect::<Vec<_>>(), ["k1", "k2", "unknown"]);
    assert!(DataReport::new(&log).to_string().contains("rows of other category"));
}

#[test]
fn categories_without_items_go_with_the_k_core() {
    let options = ReadOptions { k_core_items: 2, ..ReadOptions::default() };
    let text = "user,item,category\nu,a,gone\nu,b,here\nv,b,here\n";
    let log = read(text, &options).unwrap();
    assert_eq!(log.categories.names().collect::<Vec<_>>(), ["here"]);
    assert_eq!(log.dataset.category_of(0), Some(0));
}

#[test]
fn skipping_counts_every_malformed_line_and_keeps_ten() {
    let bad: String = (0..25).map(|i| format!("u,i{i},soon\n")).collect();
    let text = format!("user,item,timestamp\nu,a,1\n{bad}u,b\n,c,3\nu,d,4\n");
    let options = ReadOptions { on_error: OnError::Skip, ..ReadOptions::default() };
    let log = read(&text, &options).unwrap();
    assert_eq!(items(&log, "u"), "a d");
    assert_eq!(log.items.len(), 2, "a skipped row leaves no item behind");
    assert_eq!(log.skipped.count, 27);
    assert_eq!(log.skipped.first.len(), 10);
    assert_eq!(log.skipped.first[9].line, 12);
    let report = DataReport::new(&log).to_string();
    assert!(report.contains("malformed lines skipped   27"), "{report}");
    assert!(report.contains("log.csv:3: column \"timestamp\" is not a time"), "{report}");
}

#[test]
fn the_hash_is_of_the_content() {
    let text = "user,item,timestamp\nu,a,1\nv,b,2\n";
    let base = log(text);
    assert_eq!(base.hash(), log(&text.replace('\n', "\r\n\r\n")).hash());
    assert_ne!(base.hash(), log(&text.replace(",b,", ",c,")).hash(), "names count");
    assert_eq!(base.dataset.hash(), log(&text.replace(",b,", ",c,")).dataset.hash());
    assert_ne!(base.dataset.hash(), log(&text.replace(",2", ",3")).dataset.hash());
}

#[test]
fn the_report_by_hand() {
    let report = DataReport::new(&log("user,item,timestamp\n\
         a,x,0\na,x,0\na,y,86400\na,z,86400\n\
         b,x,172800\nb,y,172800\n\
         c,z,864000\n"));
    assert_eq!((report.users, report.items, report.interactions), (3, 3, 7));
    assert_eq!((report.short_users, report.duplicates, report.rare_items), (2, 1, 3));
    assert_eq!(report.users_with_everything, 1);
    assert_eq!(report.tied_neighbours, Some(0.75));
    let time = report.time.clone().unwrap();
    assert_eq!((time.first_date.as_str(), time.last_date.as_str()), ("1970-01-01", "1970-01-11"));
    assert!(time.whole_days);
    let lengths = report.lengths.clone().unwrap();
    assert_eq!(lengths.quantiles, [1, 2, 2, 4, 4, 4, 4]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["tied_neighbours"], 0.75);
    assert_eq!(json["lengths"]["histogram"][2]["users"], 1);
    let text = report.to_string();
    for want in ["users                     3\n", "75.0 %", "none", "1970-01-01 to 1970-01-11, whole"] {
        assert!(text.contains(want), "{want:?} in {text}");
    }
}
