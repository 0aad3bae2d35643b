//! Settings of a training run: a TOML file, and flags that win over it.

use super::data_flags::{DataFlags, named};
use super::failure::Failure;
use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use dmran::data::{SplitAt, SplitAtError};
use dmran::model::Kind;
use dmran::train::config::described::{Group, SETTINGS, Setting, Takes};
use dmran::train::{Config, Preset};
use std::marker::PhantomData;
use std::num::ParseIntError;
use std::path::PathBuf;
use toml::{Table, Value};

/// Puts the fields that were given over fields of the same names.
macro_rules! over {
    ($from:expr => $to:expr; $($field:ident),+ $(,)?) => {
        $(if let Some(value) = $from.$field { $to.$field = value; })+
    };
}
pub(super) use over;

/// What the settings start from.
#[derive(Args, Debug, Default, Clone)]
pub struct RecipeFlags {
    /// Settings as TOML; flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Named settings that the file and the flags change: paper, auc, everyday (the default), balanced (DMRAN's best AUC beside
    /// nearly its best top ten), or large-batch (everyday in batches of 1,024)
    #[arg(long, value_parser = named::<Preset>())]
    pub preset: Option<Preset>,
}

/// Which settings a command has flags for, and under which headings they stand in help.
pub trait Groups {
    /// In the order of help.
    const ALL: &'static [Group];
}

/// Everything that decides a run.
#[derive(Debug)]
pub struct Everything;

impl Groups for Everything {
    const ALL: &'static [Group] =
        &[Group::Model, Group::Training, Group::Computing, Group::Splitting, Group::Measuring];
}

/// The same where the command has a say of its own in the protocol.
#[derive(Debug)]
pub struct ButSplitting;

impl Groups for ButSplitting {
    const ALL: &'static [Group] = &[Group::Model, Group::Training, Group::Computing, Group::Measuring];
}

/// What a finished model can still be asked.
#[derive(Debug)]
pub struct Finished;

impl Groups for Finished {
    const ALL: &'static [Group] = &[Group::Computing, Group::Splitting, Group::Measuring];
}

/// The flags of settings that were given, by section and key: what [`SETTINGS`] describes is a flag without further ado.
#[derive(Debug)]
pub struct SettingsFlags<G> {
    given: Table,
    groups: PhantomData<G>,
}

impl<G> Default for SettingsFlags<G> {
    fn default() -> Self {
        SettingsFlags { given: Table::new(), groups: PhantomData }
    }
}

impl<G: Groups> SettingsFlags<G> {
    /// Whether the flag of a setting was given.
    pub fn has(&self, section: &str, key: &str) -> bool {
        self.given.get(section).is_some_and(|section| section.get(key).is_some())
    }

    /// Puts the flags that were given over the settings. Whether they fit together is for [`Config::validate`] to say.
    pub fn apply(&self, config: &mut Config) -> Result<(), Failure> {
        *config = config.changed(self.given.clone()).map_err(|error| Failure::Input(error.message().to_owned()))?;
        Ok(())
    }

    fn settings() -> impl Iterator<Item = &'static Setting> {
        G::ALL.iter().flat_map(|group| SETTINGS.iter().filter(move |setting| setting.group == *group))
    }
}

impl<G: Groups> Args for SettingsFlags<G> {
    fn augment_args(command: Command) -> Command {
        Self::settings()
            .fold(command, |command, setting| command.next_help_heading(heading(setting.group)).arg(flag(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<G: Groups> FromArgMatches for SettingsFlags<G> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in Self::settings() {
            let value = match setting.takes {
                Takes::Flag => matches.get_flag(setting.key).then_some(Value::Boolean(true)),
                _ => matches.get_one::<Value>(setting.key).cloned(),
            };
            let Some(value) = value else { continue };
            let section = self.given.entry(setting.section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(setting.key.into(), value);
            }
        }
        Ok(())
    }
}

fn heading(group: Group) -> &'static str {
    match group {
        Group::Model => "Model",
        Group::Training => "Training",
        Group::Computing => "Computing",
        Group::Splitting | Group::Measuring => "Measuring",
        Group::Apart => "Options",
    }
}

/// The flags that have a letter as well.
const LETTERS: [(&str, char); 2] = [("hops", 'r'), ("k", 'k')];

/// The flag of a setting.
fn flag(setting: &'static Setting) -> Arg {
    let mut first = setting.help.chars();
    let help: String = first.next().into_iter().flat_map(char::to_uppercase).chain(first).collect();
    let arg = Arg::new(setting.key).long(setting.key.replace('_', "-")).help(help);
    let arg = match LETTERS.iter().find(|(key, _)| *key == setting.key) {
        Some((_, letter)) => arg.short(*letter),
        None => arg,
    };
    let value = |arg: Arg, name: &'static str, parser: ValueParser| arg.value_name(name).value_parser(parser);
    match setting.takes {
        Takes::Flag => arg.action(ArgAction::SetTrue),
        Takes::Whole(..) => value(arg, "N", ValueParser::new(whole)),
        Takes::Number(_) => value(arg, "X", ValueParser::new(number)),
        Takes::Switch => value(
            arg,
            "BOOL",
            PossibleValuesParser::new(["true", "false"]).map(|text| Value::Boolean(text == "true")).into(),
        ),
        Takes::Name(names) => value(arg, "NAME", PossibleValuesParser::new(names()).map(Value::String).into()),
        Takes::Wholes => value(arg, "LIST", ValueParser::new(wholes)),
        Takes::Moment => value(arg, "MOMENT", ValueParser::new(split_at)).allow_negative_numbers(true),
        Takes::Other => arg,
    }
}

fn whole(text: &str) -> Result<Value, String> {
    let number: u64 = text.parse().map_err(|error: ParseIntError| error.to_string())?;
    i64::try_from(number).map(Value::Integer).map_err(|_| "it must be below 2^63".into())
}

/// As the setting will hold it: a decimal of TOML is wider, and would be rounded twice.
fn number(text: &str) -> Result<Value, String> {
    text.parse().map(|x: f32| Value::Float(x.into())).map_err(|error| error.to_string())
}

fn wholes(text: &str) -> Result<Value, String> {
    text.split(',').map(whole).collect::<Result<_, _>>().map(Value::Array)
}

fn split_at(text: &str) -> Result<Value, String> {
    let at: SplitAt = text.parse().map_err(|error: SplitAtError| error.to_string())?;
    Value::try_from(at).map_err(|error| error.to_string())
}

/// The settings of a run: preset and file, the flags over them, checked.
pub fn gather(
    recipe: &RecipeFlags,
    kind: Option<Kind>,
    data: &DataFlags,
    flags: &SettingsFlags<impl Groups>,
) -> Result<Config, Failure> {
    let mut config = recipe.config(kind)?;
    apply_all(&mut config, data, flags)?;
    Ok(config)
}

/// Puts all flags that were given over `config`, and checks it.
pub fn apply_all(config: &mut Config, data: &DataFlags, flags: &SettingsFlags<impl Groups>) -> Result<(), Failure> {
    data.apply(&mut config.data);
    flags.apply(config)?;
    Ok(config.validate()?)
}

impl RecipeFlags {
    /// The text of the file of settings; empty without one.
    pub fn text(&self) -> Result<String, Failure> {
        let Some(path) = &self.config else { return Ok(String::new()) };
        let bytes = std::fs::read(path).map_err(|error| self.wrong(&error))?;
        String::from_utf8(bytes).map_err(|_| self.wrong(&"is not UTF-8 text"))
    }

    /// The preset with the file over it; `kind` wins over the file's model.
    pub fn config(&self, kind: Option<Kind>) -> Result<Config, Failure> {
        Config::from_toml_over(&self.text()?, self.preset, kind).map_err(|error| self.wrong(&error))
    }

    /// A complaint about the file.
    pub fn wrong(&self, why: &dyn std::fmt::Display) -> Failure {
        match &self.config {
            Some(path) => Failure::Input(format!("{}: {why}", path.display())),
            None => Failure::Input(why.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmran::train::StopMetric;

    fn flags(given: &[&str]) -> SettingsFlags<Everything> {
        let command = SettingsFlags::<Everything>::augment_args(Command::new("dmran").no_binary_name(true));
        SettingsFlags::from_arg_matches(&command.try_get_matches_from(given).unwrap()).unwrap()
    }

    fn with(text: &str, given: &[&str]) -> Config {
        let mut config = Config::from_toml(text).unwrap();
        flags(given).apply(&mut config).unwrap();
        config
    }

    #[test]
    fn flags_win_over_the_file() {
        let config = with("[model]\nd = 64\nhops = 3\n[train]\nlr = 0.5", &["-r", "5", "--lr", "0.1"]);
        assert_eq!((config.model.d, config.model.hops, config.train.lr), (64, 5, 0.1));
        let config = with("", &["--early-stop-metric", "loss", "--test-all", "--k", "5,20", "--split-at", "0.5"]);
        assert_eq!((config.train.early_stop_metric, config.eval.test_all), (StopMetric::Loss, true));
        assert_eq!((&*config.eval.k, config.eval.split_at), (&[5, 20][..], SplitAt::Share(0.5)));
    }

    #[test]
    fn inner_widths_follow_the_width_of_a_flag() {
        let widths = |text, given: &[&str]| {
            let model = with(text, given).model;
            (model.ff_width, model.head_ff_width)
        };
        assert_eq!(widths("", &["--d", "16"]), (4, 4));
        assert_eq!(widths("[model]\nff_width = 9", &["--d", "16"]), (9, 4));
        assert_eq!(widths("", &["--d", "16", "--ff-width", "7"]), (7, 4));
    }

    #[test]
    fn every_described_setting_is_a_flag_of_its_own_name_but_those_that_stand_apart() {
        let command = SettingsFlags::<Everything>::augment_args(Command::new("dmran"));
        let flags: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        let settings = SETTINGS.iter().filter(|setting| setting.group != Group::Apart);
        let names: Vec<String> = settings.map(|setting| setting.key.replace('_', "-")).collect();
        assert!(names.iter().all(|name| flags.contains(&&**name)) && names.len() == flags.len(), "{flags:?}");
    }
}
