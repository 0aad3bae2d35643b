//! What a search tries: `[search]` of a TOML file. Each key is a setting of `[model]` or `[train]`; its value a list of
//! values, or a range `{ min = .., max = .., log = true }`.

use super::ExperimentError;
use crate::train::Config;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use toml::{Table, Value};

/// Settings that a search must not change: they do not make a model better, or have flags of their own.
const FIXED: [(&str, &str); 4] = [
    ("seed", "use --runs for several seeds"),
    ("threads", "results do not depend on it"),
    ("engine", "both engines compute the same"),
    ("model", "search one model at a time: --model"),
];
/// Draws in a row that bring nothing new before a search has to do with what it has.
const FRUITLESS: usize = 1000;

/// The values of one setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// These.
    List(Vec<Value>),
    /// Whole numbers from `min` to `max`, both included; evenly in their logarithm where `log` is set.
    Whole {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
        /// Whether small numbers are as likely as large ones.
        log: bool,
    },
    /// Numbers from `min` to `max`, with three digits.
    Real {
        /// Least.
        min: f64,
        /// Most.
        max: f64,
        /// Whether small numbers are as likely as large ones.
        log: bool,
    },
}

/// One setting to be searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// `model` or `train`.
    pub section: &'static str,
    /// The key in that section.
    pub key: String,
    /// What it may be.
    pub values: Values,
}

/// All settings to be searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// In the order of their names.
    pub dimensions: Vec<Dimension>,
}

/// The values of one trial, in the order of [`Space::dimensions`].
pub type Choice = Vec<Value>;

impl Space {
    /// Reads `[search]`.
    ///
    /// # Errors
    /// A key that is no setting of `[model]` or `[train]`, a value that is neither a list nor a range.
    pub fn read(search: &Table, config: &Config) -> Result<Space, ExperimentError> {
        let wrong = |text: String| Err(ExperimentError::Search(text));
        let settings = Table::try_from(config).map_err(|error| ExperimentError::Search(error.to_string()))?;
        let holds = |section: &str, key: &str| settings.get(section).is_some_and(|s| s.get(key).is_some());
        let mut dimensions = Vec::new();
        for (key, value) in search {
            if let Some((_, why)) = FIXED.iter().find(|(fixed, _)| fixed == key) {
                return wrong(format!("{key} cannot be searched: {why}"));
            }
            let Some(section) = ["model", "train"].into_iter().find(|section| holds(section, key)) else {
                return wrong(format!("{key} is no setting of [model] or [train]"));
            };
            let values = values(value).map_err(|why| ExperimentError::Search(format!("{key}: {why}")))?;
            dimensions.push(Dimension { section, key: key.clone(), values });
        }
        if dimensions.is_empty() {
            return wrong("is missing or empty: name settings and their values, for instance hops = [2, 5, 8]".into());
        }
        Ok(Space { dimensions })
    }

    /// Whether every setting has a list: then there is a grid.
    pub fn is_grid(&self) -> bool {
        self.dimensions.iter().all(|d| matches!(d.values, Values::List(_)))
    }

    /// Every combination of the lists; the last setting changes fastest. `None` where there are ranges, or more than
    /// `most` combinations.
    pub fn grid(&self, most: usize) -> Option<Vec<Choice>> {
        let mut choices: Vec<Choice> = vec![vec![]];
        for dimension in &self.dimensions {
            let Values::List(values) = &dimension.values else { return None };
            if choices.len().saturating_mul(values.len()) > most {
                return None;
            }
            choices = choices
                .iter()
                .flat_map(|choice| values.iter().map(|value| [choice, std::slice::from_ref(value)].concat()))
                .collect();
        }
        Some(choices)
    }

    /// `trials` choices at random, no two the same; fewer where the space has no more. The first trials of a longer
    /// search are those of a shorter one with the same seed.
    pub fn draw(&self, trials: usize, seed: u64) -> Vec<Choice> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut choices: Vec<Choice> = Vec::new();
        let mut fruitless = 0;
        while choices.len() < trials && fruitless < FRUITLESS {
            let choice: Choice = self.dimensions.iter().map(|d| d.values.draw(&mut rng)).collect();
            if choices.contains(&choice) {
                fruitless += 1;
            } else {
                fruitless = 0;
                choices.push(choice);
            }
        }
        choices
    }

    /// A choice as settings: `[model]` and `[train]`.
    pub fn changes(&self, choice: &Choice) -> Table {
        let mut changes = Table::new();
        for (dimension, value) in self.dimensions.iter().zip(choice) {
            let section = changes.entry(dimension.section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(dimension.key.clone(), value.clone());
            }
        }
        changes
    }
}

impl Values {
    fn draw(&self, rng: &mut ChaCha8Rng) -> Value {
        match self {
            Values::List(values) => values[rng.random_range(0..values.len())].clone(),
            Values::Whole { min, max, log: false } => Value::Integer(rng.random_range(*min..=*max)),
            Values::Whole { min, max, log: true } => {
                let x = between(rng, (*min as f64).ln(), (*max as f64 + 1.0).ln()).exp();
                Value::Integer((x as i64).clamp(*min, *max))
            }
            Values::Real { min, max, log } => {
                let x = match log {
                    true => between(rng, min.ln(), max.ln()).exp(),
                    false => between(rng, *min, *max),
                };
                // Three digits say enough, and can be typed.
                Value::Float(format!("{x:.2e}").parse().unwrap_or(x).clamp(*min, *max))
            }
        }
    }
}

fn between(rng: &mut ChaCha8Rng, from: f64, to: f64) -> f64 {
    from + (to - from) * rng.random::<f64>()
}

/// A list or a range.
fn values(value: &Value) -> Result<Values, String> {
    let range = match value {
        Value::Array(list) if list.is_empty() => return Err("an empty list".into()),
        Value::Array(list) => return Ok(Values::List(list.clone())),
        Value::Table(range) => range,
        _ => return Err("must be a list [a, b] or a range { min = a, max = b, log = true }".into()),
    };
    if let Some(key) = range.keys().find(|key| !["min", "max", "log"].contains(&&***key)) {
        return Err(format!("a range has min, max and log, not {key}"));
    }
    let log = match range.get("log") {
        None => false,
        Some(Value::Boolean(log)) => *log,
        Some(_) => return Err("log is true or false".into()),
    };
    let bound = |key: &str| range.get(key).ok_or(format!("a range needs {key}"));
    let number = |value: &Value| match value {
        Value::Integer(i) => Ok(*i as f64),
        Value::Float(x) if x.is_finite() => Ok(*x),
        other => Err(format!("{other} is no finite number")),
    };
    let (min, max) = (bound("min")?, bound("max")?);
    let (least, most) = (number(min)?, number(max)?);
    if least > most {
        return Err(format!("min = {min} is above max = {max}"));
    }
    if log && least <= 0.0 {
        return Err("with log = true min must be above 0".into());
    }
    Ok(match (min, max) {
        (Value::Integer(min), Value::Integer(max)) => Values::Whole { min: *min, max: *max, log },
        _ => Values::Real { min: least, max: most, log },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> Result<Space, String> {
        Space::read(&toml::from_str(text).unwrap(), &Config::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_grid_has_every_combination() {
        let space = space("hops = [2, 5]\nlr = [0.1, 1]\nhead = [\"mean\"]").unwrap();
        let grid = space.grid(100).unwrap();
        let keys: Vec<&str> = space.dimensions.iter().map(|d| &*d.key).collect();
        assert_eq!(keys, ["head", "hops", "lr"]);
        assert_eq!(grid.len(), 4);
        let config = Config::default().changed(space.changes(&grid[3])).unwrap();
        assert_eq!((config.model.hops, config.train.lr), (5, 1.0));
        assert_eq!(config.model.head, crate::scorer::Head::Mean);
        assert!(space.is_grid() && space.grid(3).is_none());
    }

    #[test]
    fn draws_keep_their_ranges_and_their_seed() {
        let space =
            space("hops = { min = 2, max = 20, log = true }\nlr = { min = 0.001, max = 1, log = true }").unwrap();
        let draws = space.draw(300, 7);
        assert_eq!(draws.len(), 300);
        let hops: Vec<i64> = draws.iter().map(|d| d[0].as_integer().unwrap()).collect();
        assert!((2..=20).all(|r| hops.contains(&r)) && hops.iter().all(|r| (2..=20).contains(r)));
        let below = |limit: f64| draws.iter().filter(|d| d[1].as_float().unwrap() < limit).count();
        assert!(draws.iter().all(|d| (0.001..=1.0).contains(&d[1].as_float().unwrap())));
        assert!((70..130).contains(&below(0.01)) && (170..230).contains(&below(0.1)), "{} {}", below(0.01), below(0.1));
        assert_eq!(draws[..10], space.draw(10, 7));
        assert_ne!(draws[..10], space.draw(10, 8));
    }

    #[test]
    fn a_small_space_ends_early() {
        assert_eq!(space("hops = [2, 5]").unwrap().draw(10, 1).len(), 2);
        assert_eq!(space("hops = { min = 2, max = 4 }").unwrap().draw(10, 1).len(), 3);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, parts) in [
            ("", &["[search]", "hops = [2"][..]),
            ("width = [3]", &["width", "[model]"]),
            ("seed = [1, 2]", &["seed", "--runs"]),
            ("model = [\"dmran\"]", &["--model"]),
            ("hops = 3", &["hops", "list"]),
            ("hops = []", &["hops", "empty"]),
            ("lr = { min = 1 }", &["lr", "max"]),
            ("lr = { min = 2, max = 1 }", &["lr", "above"]),
            ("lr = { min = 0, max = 1, log = true }", &["lr", "above 0"]),
            ("lr = { min = 0.1, max = 1, step = 2 }", &["lr", "step"]),
            ("lr = { min = \"a\", max = 1 }", &["lr", "number"]),
            ("lr = { min = 0.1, max = nan }", &["lr", "number"]),
        ] {
            let error = space(text).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{text:?}: {error}");
        }
    }
}
