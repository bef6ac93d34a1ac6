//! The unit that operators install.

use service_program::unit::Unit;

use crate::harness::place;

const UNIT: Unit = Unit {
    name: "evergreen-auth.service",
    text: include_str!("../../../docs/systemd/evergreen-auth.service"),
    installed: "/usr/local/bin/auth-service",
    settings: "/etc/evergreen/auth.toml",
};

#[test]
fn the_unit_runs_this_program_with_settings_that_it_has() {
    UNIT.assert_runs(&place());
}

#[test]
fn systemd_finds_the_unit_sound_and_hardened() {
    UNIT.assert_is_sound(&place());
}
