//! More of each kind of log: what was read, or what is said of it.

use super::*;

/// Four events of two users, with `times` in a column of this header.
fn timed(header: &str, times: [&str; 4]) -> String {
    let rows = times.iter().enumerate().map(|(at, time)| format!("u{},i{at},{time}\n", at / 2));
    format!("user,item,{header}\n{}", rows.collect::<String>())
}

/// What `inspect data` prints, its notes among it.
#[track_caller]
fn notes(name: &str, content: impl AsRef<[u8]>, flags: &[&str], words: &[&str]) {
    let folder = Folder::new();
    folder.write(name, content);
    let ran = folder.run(&[&["inspect", "data", name], flags].concat()).ok();
    words.iter().for_each(|word| assert!(ran.out.contains(word), "{name}: {word:?} is not in {}", ran.out));
}

#[test]
fn quotes_of_other_kinds_are_named() {
    for (content, words) in [
        ("\"\"\"user\"\"\",\"\"\"item\"\"\"\n\"\"\"a\"\"\",\"\"\"b\"\"\"\n", &["quoted twice", "sed"][..]),
        ("`user`,`item`\n`a`,`b`\n", &["curly quotes", "s/[``]"]),
        ("\u{ab}user\u{bb},\u{ab}item\u{bb}\n\u{ab}a\u{bb},\u{ab}b\u{bb}\n", &["curly quotes"]),
        ("user,item,time\n'a','b','1535061658'\n", &["log.csv:2", "quotes are in the way", "--quote \"'\""]),
        ("user,item,title\na,b,x\\, y\n", &["log.csv:2", "has 4 fields", "a,b,x", "needs quotes"]),
    ] {
        check("quotes", "log.csv", content, "", Want::Says(words));
    }
    let tabs = "user\titem\ttime\n\"a\"\t\"b\"\t\"1535061658\"\n";
    check("quotes", "log.tsv", tabs, "", Want::Says(&["log.tsv:2", "quotes are in the way", "--quote '\"'"]));
    for id in ["'11'", "`11`", "\u{201e}11\u{201c}", "=\"11\""] {
        notes("log.csv", format!("user,item\na,{id}\nb,12\n"), &[], &["1 ids begin and end with a quote"]);
    }
}

#[test]
fn a_time_with_gaps_and_an_order_that_is_numbered_are_not_overlooked() {
    let kind = "columns";
    for gap in ["NA", "NaT", "null", "0", "-1", "\\N", "0000-00-00"] {
        let log = timed("zeit", ["1535061658", gap, "1535061659", gap]);
        check(kind, "log.csv", log, "", Want::Says(&["zeit", "--time-column"]));
    }
    for name in
        ["order_number", "seq", "step", "event_index", "add_to_cart_order", "week_number", "days_since_prior_order"]
    {
        check(kind, "log.csv", timed(name, ["1", "2", "1", "2"]), "", Want::Says(&[name, "--position-column"]));
        let flags = format!("--position-column {}", name.replace('_', "^"));
        check(kind, "log.csv", timed(name, ["1", "2", "1", "2"]), &flags, Want::Read(2, 4, 4, None));
    }
    for name in ["cat", "cate_id", "category1", "department", "Kategorie"] {
        let log = format!("user,item,{name}\na,x,c\nb,y,d\n");
        notes("log.csv", log, &[], &[&format!("category = {name}")]);
    }
    let made = of("user,item,created_at,zeit\n", |u, i, t, _| format!("{u},{i},2018-01-01,{t}"));
    check(kind, "log.csv", &made, "", Want::Says(&["created_at", "--time-column \"zeit\""]));
    check(kind, "log.csv", &made, "--time-column zeit", ALL);
    notes("log.csv", timed("ts", ["1535061658"; 4]), &[], &["are the same: the order of the file counts"]);
    // Digits that are no times stay unused without a word.
    for value in ["3.2.1", "12", "B000123456", "0345451164", "7.5"] {
        check(kind, "log.csv", timed("other", [value; 4]), "", Want::Read(2, 4, 4, None));
    }
}

#[test]
fn numbers_and_dates_that_stand_for_no_time_are_refused_among_times() {
    let good = ["1535061658", "1535061659"];
    for value in ["2147483647", "2147483647.0", "4294967295", "9999999999", "-99", "1", "9223372036854775807"] {
        let log = timed("ts", [good[0], value, good[1], good[1]]);
        check("blanks", "log.csv", log, "", Want::Says(&["(line 3) stands for no time", "--where"]));
    }
    for day in [
        "1601-01-01",
        "1753-01-01",
        "1899-12-30",
        "1904-01-01",
        "1969-12-31 23:59:59",
        "1970-01-01 01:00:00",
        "1980-01-01",
        "2038-01-19 03:14:07",
        "2079-06-06",
        "2099-12-31",
        "2262-04-11",
    ] {
        let log = timed("date", ["2018-08-23", day, "2018-08-24", "2018-08-25"]);
        check("blanks", "log.csv", log, "", Want::Says(&[&day[..10], "(line 3) stands for no time", "--where"]));
    }
    for (header, value) in [("ts", "0"), ("ts", "-1"), ("date", "1970-01-01")] {
        let words = ["in every row stands for no time", "--time-column none"];
        check("blanks", "log.csv", timed(header, [value; 4]), "", Want::Says(&words));
        check("blanks", "log.csv", timed(header, [value; 4]), "--time-column none", Want::Read(2, 4, 4, None));
    }
    let late = timed("ts", [good[0], "2147483647", good[1], good[1]]);
    let rest = Want::Read(2, 3, 3, Some(("2018-08-23", "2018-08-23")));
    check("blanks", "log.csv", late, "--where ts!=2147483647", rest);
    for text in ["NaN", "NaT", "NULL", "\\N"] {
        let log = timed("date", ["2018-08-23", text, "2018-08-24", "2018-08-25"]);
        check("blanks", "log.csv", log, "", Want::Says(&["log.csv:3", "stands for none", "--on-error skip"]));
    }
}

#[test]
fn digits_of_dates_and_other_clocks_are_told() {
    let kind = "digits";
    for (times, words) in [
        (["2018082322", "2018082323", "2018082400", "2018082401"], "--time-format %Y%m%d%H"),
        (["23082018", "24082018", "25082018", "26082018"], "--time-format %d%m%Y"),
        (["08232018", "08242018", "08252018", "08262018"], "--time-format %m%d%Y"),
        (["180823", "180824", "180825", "180826"], "--time-format %y%m%d"),
        (["2018235", "2018236", "2018237", "2018238"], "--time-format %Y%j"),
        (["201808", "201809", "201810", "201811"], "2018-08-01"),
        (["2018"; 4], "2018-01-01"),
        (["737295.5"; 4], "MATLAB"),
        (["153506165800"; 4], "fits no other unit"),
    ] {
        check(
            kind,
            "log.csv",
            timed("date", times),
            "",
            Want::Says(&["\"date\"", times[0].split('.').next().unwrap_or_default().trim_start_matches('0'), words]),
        );
        if let (Some((_, format)), "date") = (words.split_once("--time-format "), "date") {
            let (first, last) =
                if format == "%Y%m%d%H" { ("2018-08-23", "2018-08-24") } else { ("2018-08-23", "2018-08-26") };
            let flags = format!("--time-format {format}");
            check(kind, "log.csv", timed("date", times), &flags, Want::Read(2, 4, 4, Some((first, last))));
        }
    }
    for number in ["20180824", "43336", "1535061658000", "2018"] {
        let log = timed("date", ["2018-08-23", number, "2018-08-24", "2018-08-25"]);
        check(kind, "log.csv", log, "", Want::Says(&["\"date\"", number, "(line 3)"]));
    }
    for (time, words) in [
        ("556754458", &["Apple's seconds since 2001", "t + 978307200", "2018-08-23"][..]),
        ("588376858", &["seconds since 2000, t + 946684800"]),
        ("3617906458", &["after today", "t - 2082844800"]),
        ("17766", &["as days since 1970: 2018-08-23"]),
        ("426406", &["as hours since 1970: 2018-08-23"]),
        ("25584360", &["as minutes since 1970: 2018-08-23"]),
    ] {
        notes("log.csv", timed("ts", [time; 4]), &[], words);
    }
    notes(
        "log.csv",
        timed("date", ["2018-08-23", "2097-01-01", "2018-08-24", "2018-08-25"]),
        &[],
        &["2097-01-01 (line 3)", "after today"],
    );
    for year in [1984, 1996, 1997, 2005, 2018] {
        let folder = Folder::new();
        folder.write("log.csv", timed("date", [&format!("{year}-05-01"); 4]));
        assert!(
            !folder.run(&["inspect", "data", "log.csv"]).ok().out.contains("2001"),
            "dates of {year} are no clock's"
        );
    }
    let movie_lens = timed("ts", ["874724710", "875747190", "893286638", "880000000"]);
    let folder = Folder::new();
    folder.write("log.csv", movie_lens);
    assert!(!folder.run(&["inspect", "data", "log.csv"]).ok().out.contains("Apple"), "1997 is no clock of Apple's");
}

#[test]
fn dates_that_are_not_read_get_the_format_that_reads_them() {
    for (date, format) in [
        ("2018-8-23", "%Y-%m-%d"),
        ("2018_08_23", "%Y_%m_%d"),
        ("2018-Aug-23", "%Y-%b-%d"),
        ("23Aug2018:22:00:58", "%d%b%Y:%H:%M:%S"),
        ("20180823-22:00:58", "%Y%m%d-%H:%M:%S"),
        ("2018-08-23-22-00-58", "%Y-%m-%d-%H-%M-%S"),
        ("[23/Aug/2018:22:00:58 +0000]", "[%d/%b/%Y:%H:%M:%S %z]"),
        ("22:00 23/08/2018", "%H:%M %d/%m/%Y"),
        ("Thursday 23 August 2018", "%A %d %B %Y"),
    ] {
        let log = timed("date", [date; 4]);
        check("dates", "log.csv", &log, "", Want::Says(&["log.csv:2", &format!("--time-format '{format}'")]));
        let flags = format!("--time-format {}", format.replace('_', "^").replace(' ', "_"));
        check("dates", "log.csv", &log, &flags, Want::Read(2, 4, 4, Some(("2018-08-23", "2018-08-23"))));
    }
    for date in ["2018-Q3", "22 days ago", "2018-08-23 22:00:58 PST", "23 ao\u{fb}t 2018", "0x5b7f2e9a", "2018-08"] {
        let words = ["log.csv:2", "--time-format FORMAT", "--time-column none"];
        check("dates", "log.csv", timed("date", [date; 4]), "", Want::Says(&words));
    }
    check("dates", "log.csv", timed("date", ["/Date(1535061658000)/"; 4]), "", Want::Says(&["--time-unit ms"]));
}

#[test]
fn a_row_is_never_taken_for_a_header_and_a_header_never_for_a_row() {
    let kind = "headers";
    let rows = of("", |u, i, t, _| format!("{u},{i},{t}"));
    const NUMBERS: &str = "--user-column 1 --item-column 2 --time-column 3";
    check(kind, "log.csv", &rows, NUMBERS, Want::Says(&["no header", &format!("--no-header {NUMBERS}")]));
    check(kind, "log.csv", &rows, &format!("--no-header {NUMBERS}"), ALL);
    check(kind, "log.csv", plain(), &format!("--no-header {NUMBERS}"), Want::Says(&["names", "leave the flag out"]));
    check(
        kind,
        "log.csv",
        of("0,1,2\n", |u, i, t, _| format!("{u},{i},{t}")),
        "--user-column 0 --item-column 1 --time-column 2",
        ALL,
    );
    let words = of("", |u, i, _, _| format!("ann{u},cup{i},view"));
    notes(
        "log.csv",
        &words,
        &["--user-column", "1", "--item-column", "2"],
        &["(ann1,cup11,view) taken for their names"],
    );
    check(kind, "log.csv", &words, "", Want::Says(&["--no-header"]));
    let american = of("", |u, i, _, d| format!("u{u},i{i},{}/{}/{}", &d[5..7], &d[8..10], &d[..4]));
    check(kind, "log.csv", american, "", Want::Says(&["no header", "--time-column 3"]));
    check(
        kind,
        "log.csv",
        of("", |u, i, t, _| format!("#{u},{i},{t}")),
        "",
        Want::Says(&["comments alone", "--no-header"]),
    );
    for (above, words) in [
        ("Export of shop 7\n\n", "tail -n +3 log.csv"),
        ("Report,,\nFrom 2018,,\n", "tail -n +3 log.csv"),
        ("% a comment\n", "--comment '%'"),
        ("// a comment\n", "--comment '//'"),
    ] {
        let log = [above.as_bytes(), &plain()].concat();
        check(kind, "log.csv", log, "", Want::Says(&["above the header", words]));
    }
    let rest: Vec<u8> = plain().iter().map(|byte| if *byte == b',' { b'|' } else { *byte }).collect();
    let ruled = String::from_utf8(rest).unwrap().replacen('\n', "\n----+----+----\n", 1) + "(10 rows)\n";
    check(kind, "log.txt", ruled, "", Want::Says(&["dashes and bars", "psql --csv", "sed"]));
    for said in ["\"sep=;\"\n", "sep = ;\n", "SEP=;\n"] {
        check(
            kind,
            "log.csv",
            of(&format!("{said}user;item;timestamp\n"), |u, i, t, _| format!("{u};{i};{t}")),
            "",
            ALL,
        );
    }
    check(kind, "log.csv", of("sep=\t\nuser\titem\ttimestamp\n", |u, i, t, _| format!("{u}\t{i}\t{t}")), "", ALL);
    check(kind, "log.csv", of("\u{feff}\u{feff}user,item,timestamp\n", |u, i, t, _| format!("{u},{i},{t}")), "", ALL);
    for sign in ['~', '^', '\u{1f}', '\u{1e}'] {
        let log = String::from_utf8(plain()).unwrap().replace(',', &sign.to_string());
        check(kind, "log.txt", log, "", ALL);
    }
    let named = of("user|item|timestamp|tags, all\n", |u, i, t, _| format!("{u}|{i}|{t}|a,b"));
    check(kind, "log.txt", named, "", ALL);
    check(kind, "log.csv", "1,11,12,13\n2,12\n", "", Want::Says(&["--format sequences --delimiter ','"]));
    check(kind, "log.tsv", "1\t11 12 13\n2\t12 14\n", "", Want::Says(&["--format sequences"]));
    check(kind, "log.txt", "user items\n1 11 12\n", "--format sequences", Want::Says(&["is a header", "tail -n +2"]));
    let footer = [&plain()[..], b"10 rows affected\n"].concat();
    check(kind, "log.csv", footer, "", Want::Says(&["log.csv:12", "10 rows affected", "--on-error skip"]));
    let comment = [&plain()[..], b"# note\n"].concat();
    check(kind, "log.csv", &comment, "", Want::Says(&["log.csv:12", "--comment '#'"]));
}

#[test]
fn ids_that_stand_for_nothing_for_lists_or_for_lost_characters_are_noted() {
    for id in ["#REF!", "(not set)", "-1", "unknown", "guest", "<null>", "00000000-0000-0000-0000-000000000000"] {
        notes(
            "log.csv",
            format!("shopper_id,item\nann,x\n{id},y\n"),
            &[],
            &["seems to stand for nothing", &format!("'shopper_id!={id}'")],
        );
    }
    for id in ["11|12|13", "11;12", "\"11,12\"", "11 12", "{11}", "(11)"] {
        notes("log.csv", format!("user,item\nann,{id}\nbob,y\n"), &[], &["1 ids look like lists"]);
    }
    for id in ["11", "11-12", "a|b", "1.5", "2018-08-23"] {
        let folder = Folder::new();
        folder.write("log.csv", format!("user,item\nann,{id}\nbob,y\n"));
        assert!(!folder.run(&["inspect", "data", "log.csv"]).ok().out.contains("look like lists"), "{id}");
    }
    notes("log.csv", "user,item\nann,x\nAnn,y\nBob,z\n", &[], &["1 users are others but for capitals"]);
    notes("log.csv", "user,item\nann,caf\u{fffd}\nbob,y\n", &[], &["different ids may have become one"]);
    let sequences = "session_id:token\titem_id_list:token_seq\titem_id:token\n1\t11 12\t13\n2\t12 14\t11\n";
    notes("log.inter", sequences, &[], &["holds sequences and is not used"]);
    check("lists", "log.csv", "user,items\n1,11 12\n", "", Want::Says(&["explode"]));
}

#[test]
fn a_file_given_twice_is_refused_and_other_names_of_columns_are_noted() {
    let folder = Folder::new();
    folder.write("a.csv", plain());
    folder.write("a.csv.gz", plain());
    folder.write("b.csv", of("customer_id,product_id,date\n", |u, i, t, _| format!("{u},{i},{t}")));
    for twice in [["a.csv", "a.csv"], ["a.csv", "./a.csv"], ["a.csv", "a*.csv"], ["a.csv", "a.csv.gz"]] {
        inspect(&folder, &twice).refused(&["the same log", "count twice"]);
    }
    let ran = folder.run(&["inspect", "data", "a.csv", "b.csv"]).ok();
    assert!(ran.out.contains("b.csv: other columns than in the first file: user = customer_id"), "{}", ran.out);
}

#[test]
fn more_containers_are_named_by_their_first_bytes() {
    for (content, words) in [
        (&b"INSERT INTO log VALUES (1, 2);\n"[..], &["an SQL dump"][..]),
        (b"-- MySQL dump 10.13\n", &["an SQL dump"]),
        (b"@relation log\n", &["ARFF"]),
        (b"%%MatrixMarket matrix coordinate integer general\n", &["sparse matrix", "grep -v '^%'"]),
        (b"\x80\x05\x95\x10\0", &["pickle", "read_pickle('log.csv')"]),
        (b"RDX3\nX\n", &["R's data", "write.csv"]),
        (b"\0\0\0\0\0\0\0\0DUCK\0", &["DuckDB"]),
        (b"\x89DMRAN\r\n", &["a model of dmran's"]),
        (b"\x7fELF\0\x01,\xff\n\x02", &["no text in UTF-8"]),
        (b"<log>\n<e/>\n", &["XML or HTML"]),
    ] {
        check("containers", "log.csv", content, "", Want::Says(words));
    }
    check("containers", "log.jsonl", "[1, 2]\n[3, 4]\n", "--format jsonl", Want::Says(&["jq -r @csv"]));
    check("containers", "log.jsonl", "[[1, 2], [3, 4]]\n", "--format jsonl", Want::Says(&["jq -r '.[] | @csv'"]));
    check(
        "containers",
        "log.jsonl",
        "user,item\n1,2\n",
        "--format jsonl",
        Want::Says(&["log.jsonl:1", "--format csv"]),
    );
    check("layouts", "log.csv", "1,11,12\n", "--format sequences", Want::Says(&["log.csv:1", "--delimiter ','"]));
    let commas = "{\"user\": 1, \"item\": 2},\n{\"user\": 1, \"item\": 3}\n";
    check("containers", "log.jsonl", commas, "", Want::Says(&["log.jsonl:1", "jq -c . OLD"]));
}

#[test]
fn score_refuses_unknown_times_beside_known_ones() {
    let folder = Folder::with_model();
    for time in ["0", "-1", "2147483647", "9999999999", "17660", "2018082322"] {
        folder.write("in.jsonl", format!("{{\"history\": [[\"i1\", {time}], [\"i2\", 1700000000]], \"k\": 1}}\n"));
        let file = std::fs::File::open(folder.path("in.jsonl")).unwrap();
        Ran::of(folder.command(&["score", "model.dmran"]).stdin(file)).refused(&[time, "looks like"]);
    }
}
