//! What a migration may say: squawk, a linter for migrations, reads each that wasn't released yet.

use squawk_linter::{Linter, Rule};
use squawk_syntax::SourceFile;

use super::{Release, all};

/// What programs that run may stand on. A migration that begins with `-- contract: unused since <version>` may take it
/// away.
const EXPAND: &[Rule] = &[
    Rule::AddingNotNullableField,
    Rule::AddingRequiredField,
    Rule::BanAlterGeneratedExpression,
    Rule::BanDropColumn,
    Rule::BanDropDefault,
    Rule::BanDropFunction,
    Rule::BanDropGeneratedExpression,
    Rule::BanDropNotNull,
    Rule::BanDropSequence,
    Rule::BanDropTable,
    Rule::BanDropType,
    Rule::BanDropView,
    Rule::BanNewWriteRestriction,
    Rule::BanSetSchema,
    Rule::BanTruncateCascade,
    Rule::ChangingColumnType,
    Rule::RenamingColumn,
    Rule::RenamingObject,
    Rule::RenamingTable,
];

/// What keeps a table locked for as long as it is large.
const SHORT: &[Rule] = &[
    Rule::AddingFieldWithDefault,
    Rule::AddingForeignKeyConstraint,
    Rule::AddingSerialPrimaryKeyField,
    Rule::ConstraintMissingNotValid,
    Rule::DisallowedUniqueConstraint,
    Rule::RequireConcurrentIndexCreation,
    Rule::RequireConcurrentIndexDeletion,
    Rule::RequireConcurrentPartitionDetach,
    Rule::RequireConcurrentReindex,
    Rule::TransactionNesting,
];

const CONTRACT: &str = "-- contract: unused since ";

fn parts(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap()).collect()
}

/// What is wrong with a migration that follows this release.
fn faults(text: &str, released: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let unused_since = text.lines().find_map(|line| line.strip_prefix(CONTRACT));
    if let Some(version) = unused_since.filter(|version| parts(version) > parts(released)) {
        faults.push(format!("{version}, which no longer uses it, is not released: {released} is"));
    }
    let expand = if unused_since.is_some() { &[] } else { EXPAND };
    let mut linter = Linter::from(expand.iter().chain(SHORT).copied());
    linter.settings.assume_in_transaction = !text.starts_with("-- no-transaction");
    let parsed = SourceFile::parse(text);
    faults.extend(parsed.errors().iter().map(|error| format!("{error:?}")));
    faults.extend(linter.lint(&parsed, text).into_iter().map(|fault| format!("{}: {}", fault.code, fault.message)));
    faults
}

#[test]
fn what_follows_a_release_breaks_nothing_that_runs() {
    let Some(released) = Release::latest() else { return };
    for (name, text) in all().iter().filter(|(name, _)| !released.migrations.contains_key(*name)) {
        assert_eq!(faults(text, &released.version), [""; 0], "{name}: see migrations/README.md");
    }
}

/// The rules that a migration breaks, by their names.
fn broken(text: &str) -> Vec<String> {
    let faults = faults(text, "1.1.0");
    faults.iter().map(|fault| fault.split(':').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn expanding_is_allowed() {
    for text in [
        "create table causes (id uuid primary key, name text not null check (name <> ''));
         create index causes_name on causes (name);",
        "alter table users add column pronouns text;",
        "alter table users add column pinned boolean default false;",
        "-- squawk-ignore ban-new-write-restriction\nalter table users add column pinned boolean not null default false;",
        "-- no-transaction\ncreate index concurrently users_pinned on users (id) where pinned;",
        "alter table users validate constraint users_pronouns;",
    ] {
        assert_eq!(broken(text), [""; 0], "{text}");
    }
}

#[test]
fn what_breaks_programs_that_run_is_a_step_of_its_own() {
    for (text, rule) in [
        ("alter table users drop column headline;", "ban-drop-column"),
        ("drop table mails;", "ban-drop-table"),
        ("alter table users rename column headline to title;", "renaming-column"),
        ("alter table users rename to people;", "renaming-table"),
        ("alter table users alter column bio type varchar(10);", "changing-column-type"),
        ("alter table users add column pronouns text not null;", "adding-required-field"),
        ("alter table users alter column headline set not null;", "adding-not-nullable-field"),
        ("alter table users alter column headline drop not null;", "ban-drop-not-null"),
        ("alter table users alter column headline drop default;", "ban-drop-default"),
        ("alter table users add constraint short check (char_length(bio) < 9) not valid;", "ban-new-write-restriction"),
        ("drop function user_is_online(text, timestamptz, uuid, timestamptz);", "ban-drop-function"),
    ] {
        assert!(broken(text).iter().any(|broken| broken == rule), "{text}: {:?}", broken(text));
        assert_eq!(broken(&format!("{CONTRACT}1.1.0\n{text}")), [""; 0], "{text}");
        assert_eq!(broken(&format!("{CONTRACT}1.2.0\n{text}")).len(), 1, "used by the programs that run");
    }
}

#[test]
fn what_locks_for_long_is_never_allowed() {
    for (text, rule) in [
        ("create index users_bio on users (bio);", "require-concurrent-index-creation"),
        ("drop index users_search;", "require-concurrent-index-deletion"),
        ("alter table users add constraint short check (char_length(bio) < 9);", "constraint-missing-not-valid"),
        ("alter table users add constraint one unique (bio);", "disallowed-unique-constraint"),
        ("alter table users add column lucky_number double precision default random();", "adding-field-with-default"),
        (
            "alter table mails add constraint mails_user foreign key (to_address) references users (email);",
            "adding-foreign-key-constraint",
        ),
    ] {
        assert!(broken(text).iter().any(|broken| broken == rule), "{text}: {:?}", broken(text));
        assert!(!broken(&format!("{CONTRACT}1.1.0\n{text}")).is_empty(), "{text}");
    }
    assert!(!broken("alter tabel users;").is_empty(), "no SQL");
}
