//! `--print-config`: all settings in force as TOML, each with a word on what it is.

use dmran::train::Config;

/// What each setting is, by section and key.
const COMMENTS: &[(&str, &str)] = &[
    ("preset", "where the settings started from: paper, auc, everyday"),
    ("data.format", "auto, csv, tsv, jsonl, amazon, sequences, parquet"),
    ("data.time_unit", "seconds, milliseconds, microseconds, nanoseconds"),
    ("data.time_format", "how times are written, for strptime; left out: numbers or ISO dates"),
    ("data.no_header", "the first line is a row; columns are numbers"),
    ("data.quote", "none, or the character that encloses fields; left out: by format"),
    ("data.escape", "what makes a quote within quotes a character"),
    ("data.comment", "what lines begin with that are no rows"),
    ("data.where", "conditions that rows must hold"),
    ("data.on_error", "a malformed line: fail, skip"),
    ("data.duplicates", "keep-all, keep-first"),
    ("data.ties", "events of a user at one time: file, random(SEED)"),
    ("data.delimiter", "what sets fields apart; left out: found"),
    ("data.meta", "Amazon's meta file"),
    ("data.k_core_users", "fewest events of a user"),
    ("data.k_core_items", "fewest events of an item"),
    ("data.max_id_bytes", "longest identifier"),
    ("data.columns.user", "auto or a name"),
    ("data.columns.item", "auto or a name"),
    ("data.columns.time", "auto, none or a name"),
    ("data.columns.category", "auto, none or a name"),
    ("data.columns.position", "auto, none or a name"),
    ("model.d", "width of every hidden vector"),
    ("model.hops", "r, hops of the item level attention"),
    ("model.history_cap", "latest events of a user that are read"),
    ("model.buckets", "time buckets"),
    ("model.time", "paper, atrank, age-order, order, none; order where the log has no times"),
    ("model.variant", "full, no-time, item, feature"),
    ("model.block", "transformer, plain"),
    ("model.head", "atrank, vanilla, mean"),
    ("model.heads", "heads of the head atrank, and of atrank and sasrec"),
    ("model.layers", "blocks of sasrec"),
    ("model.ff_width", "inner width of the block; left out: d / 4"),
    ("model.head_ff_width", "inner width of the head; left out: d / 4"),
    ("model.item_bias", "a bias for each item"),
    ("model.categories", "half of an item's vector is its category's, where the log has categories"),
    ("model.block_eps", "epsilon of the block's layer norms, and of sasrec's"),
    ("model.head_eps", "epsilon of the head's layer norms"),
    ("train.model", "dmran, bpr-mf, bi-lstm, bi-lstm-attention, cnn-pooling, atrank, sasrec, most-popular"),
    ("train.epochs", "passes over the training samples"),
    ("train.batch", "samples a step"),
    ("train.seed", "of everything random"),
    ("train.loss", "bce, bpr, softmax, sampled-softmax"),
    ("train.optimizer", "sgd, adagrad, adam"),
    ("train.lr", "learning rate of the first epoch"),
    ("train.decay", "factor of the learning rate after each epoch"),
    ("train.step_at", "step from which step_factor counts; 0 = never"),
    ("train.step_factor", "factor of the learning rate from step_at on"),
    ("train.clip", "largest global norm of a gradient; 0 = no limit"),
    ("train.l2", "activation, weights"),
    ("train.l2_weight", "weight of the l2 term"),
    ("train.l2_rows", "weight of the looked-up rows with l2 = weights"),
    ("train.penalty", "weight of the redundancy penalty"),
    ("train.negatives", "fresh, static"),
    ("train.negatives_per_positive", "negatives for each positive (bce, bpr)"),
    ("train.shared_negatives", "items a batch's samples are compared with (sampled-softmax)"),
    ("train.sampling_power", "shared items are drawn by their events to this power; 0 = uniformly"),
    ("train.logq", "correct shared items' scores for how often they are drawn"),
    ("train.denominator", "what the softmax losses compare with: all, unseen"),
    ("train.init_std", "standard deviation of the tables' start; 0 = the model's own"),
    ("train.dropout", "share of entries of history vectors dropped"),
    ("train.engine", "fused, naive"),
    ("train.shards", "parts of a batch; 0 = by batch size"),
    ("train.threads", "0 = one a core; results do not depend on it"),
    ("train.on_nan", "a loss that is not finite: stop, halve-lr"),
    ("train.early_stop_metric", "measure that picks the epoch: auc, loss, ndcg, hr"),
    ("train.patience", "epochs without a better one before the end; 0 = all"),
    ("train.from", "fingerprint of the model that --from named"),
    ("train.since", "only later events are learned"),
    ("eval.protocol", "honest, time, paper"),
    ("eval.split_at", "moment of protocol time: share of events before it, or seconds since 1970"),
    ("eval.test_all", "protocol time: test on all events after the moment"),
    ("eval.k", "of HR@k and its like: one, or a list"),
    ("eval.validation_negatives", "negatives a user of the validation AUC"),
    ("eval.rank_users", "users of the full ranking; 0 = all"),
];

/// Settings as TOML with comments; reads back to the same settings.
pub fn annotated(config: &Config) -> Result<String, toml::ser::Error> {
    let mut section = String::new();
    let mut out = String::new();
    for line in toml::to_string(config)?.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        }
        let key = line.split_once(" = ").map(|(key, _)| format!("{section}{key}"));
        let comment = key.and_then(|key| COMMENTS.iter().find(|(name, _)| *name == key));
        match comment {
            Some((_, comment)) => out += &format!("{line:<32} # {comment}\n"),
            None => out += &format!("{line}\n"),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmran::data::SplitAt;

    #[test]
    fn every_setting_has_its_comment_and_reads_back() {
        let mut config = Config::default();
        config.data.delimiter = Some(";".into());
        config.data.time_format = Some("%d.%m.%Y".into());
        config.data.no_header = true;
        config.data.quote = Some("none".parse().unwrap());
        config.data.escape = Some('\\');
        config.data.comment = Some("--".into());
        config.data.filters = vec!["rating>=4".parse().unwrap(), "event=buy".parse().unwrap()];
        config.data.meta = Some("meta # 1.json.gz".into());
        config.train.l2_weight = 5e-5;
        config.train.from = "0123".into();
        config.train.since = Some(1_400_000_000);
        config.eval.split_at = SplitAt::Share(0.8);
        config.eval.test_all = true;
        let text = annotated(&config).unwrap();
        for line in text.lines().filter(|line| line.contains(" = ")) {
            assert!(line.contains(" # "), "{line}");
        }
        for (name, comment) in COMMENTS {
            assert!(text.contains(comment), "{name} is no setting");
        }
        assert_eq!(Config::from_toml(&text).unwrap(), config);
        assert!(text.contains("l2_weight = 0.00005"), "{text}");
    }
}
