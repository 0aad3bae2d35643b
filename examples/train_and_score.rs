//! From events in memory to a model, its figures and recommendations.
//! `cargo run --release --example train_and_score`

use dmran::data::{Event, LogBuilder, Opened, ReadOptions};
use dmran::scorer::{Event as Seen, Scorer, Scratch};
use dmran::train::{Config, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Forty users walk round a ring of twenty items, in steps of one, two or three.
    let mut log = LogBuilder::new(ReadOptions::default());
    for user in 0..40 {
        for step in 0..8 {
            let (item, time) = ((user + step * (1 + user % 3)) % 20, 1_700_000_000 + step * 100_000);
            let (user, item) = (format!("user {user}"), format!("item {item}"));
            log.push(Event { user: &user, item: &item, time: Some(time), category: None })?;
        }
    }
    let config =
        Config::from_toml("model.d = 16\nmodel.hops = 4\ntrain.epochs = 8\ntrain.batch = 16\ntrain.patience = 0")?;
    let trained = Session::train(Opened::named(log.finish()?, "ring"), config)?;
    trained.notes.iter().for_each(|note| eprintln!("{note}"));
    println!("{}", trained.figures.ranking);

    // The model would go into a file with `trained.save("ring.dmran")?`, and come back with `Scorer::load`.
    let scorer = Scorer::new(trained.model.ok_or("only DMRAN has a model file")?)?;
    let mut scratch = Scratch::new();
    let history = [3, 4, 5].map(|item| Seen { item: format!("item {item}"), time: 1_700_000_000 + item * 100_000 });
    let mut user = scorer.encode(&history, 1_700_600_000, &mut scratch);
    let (owned, mut best) = (user.history().to_vec(), Vec::new());
    user.top_k(3, &owned, &mut best);
    for found in best {
        println!("{} {:.3}", scorer.items().get(found.item as usize).unwrap_or_default(), found.score);
    }
    Ok(())
}
