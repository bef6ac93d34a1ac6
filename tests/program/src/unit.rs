//! The systemd unit of a service, held against the program that it runs.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    process::Command,
};

use crate::Place;

/// A unit.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "each service says it of itself")]
pub struct Unit {
    /// Its file's name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Where it looks for the program.
    pub installed: &'static str,
    /// Where it looks for the settings.
    pub settings: &'static str,
}

impl Unit {
    /// The program takes the commands as they are written, and the variables that are named, be it in
    /// comments.
    pub fn assert_runs(&self, place: &Place) {
        let settings = place.write("settings.toml", "");
        let lines = self.text.lines().filter_map(|line| line.split_once('='));
        let commands: Vec<_> = lines
            .filter(|(key, _)| key.starts_with("ExecStart"))
            .map(|(_, command)| command.split(' ').collect::<Vec<_>>())
            .collect();
        assert_eq!(commands.len(), 2, "settings are checked, and then it serves");
        for command in commands {
            assert_eq!(command[0], self.installed);
            let words = command[1..].iter();
            let words = words.map(|word| if *word == self.settings { &settings } else { *word });
            let args: Vec<_> = words.chain(["--print-config"]).collect();
            assert!(args.contains(&settings.as_str()), "{command:?}");
            let ended = place.run(&args);
            assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
        }
        let help = place.run(&["serve", "--help"]).stdout;
        let variables = self.text.lines().filter_map(|line| line.split_once("Environment="));
        for (_, variable) in variables {
            let name = variable.split('=').next().unwrap();
            assert!(help.contains(&format!("{name}=")), "{name} is no setting");
        }
    }

    /// systemd finds nothing to complain of, and little that a service could do beyond its work. Where
    /// there is no systemd, nothing is asked.
    pub fn assert_is_sound(&self, place: &Place) {
        let program = place.program.path;
        let path = place.write(self.name, &self.text.replace(self.installed, program));
        for analysis in [
            ["verify", "--man=no", path.as_str()].as_slice(),
            &["security", "--offline=true", "--threshold=15", &path],
        ] {
            let done = match Command::new("systemd-analyze").args(analysis).output() {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let _ = writeln!(std::io::stderr(), "SKIPPED: there is no systemd-analyze");
                    return;
                }
                done => done.unwrap(),
            };
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "{analysis:?}: {said}");
            assert_eq!(said, "", "{analysis:?}");
        }
        fs::remove_file(path).unwrap();
    }
}
