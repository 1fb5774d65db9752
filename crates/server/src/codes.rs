//! Every stable code that this program can answer with: its HTTP status and its title. Each has a page,
//! `docs/errors/CODE.md`; a test holds the two lists equal. A code never changes its meaning and is never reused.

/// A stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The word, as programs compare it.
    pub word: &'static str,
    /// HTTP status of a refusal with this code. Codes that only stand beside a quarantined input or on the command line
    /// have the status they would have as an answer of their own.
    pub status: u16,
    /// What happened, in a few words.
    pub title: &'static str,
}

const fn code(word: &'static str, status: u16, title: &'static str) -> Code {
    Code {
        word,
        status,
        title,
    }
}

/// All codes, ascending by word.
pub const ALL: &[Code] = &[
    code("api_key_wanted", 401, "an API key is wanted"),
    code("backup_running", 409, "a backup is being taken"),
    code("backups_off", 403, "this server takes no backups"),
    code(
        "bad_artifact",
        422,
        "the trained artifacts are not those that the scene names",
    ),
    code("bad_backup", 422, "the backup cannot be used"),
    code("bad_config", 422, "the configuration cannot be used"),
    code("bad_id", 422, "the text is not an id"),
    code(
        "bad_idempotency_key",
        422,
        "the idempotency key is not acceptable",
    ),
    code("bad_identifier", 422, "the identifier is not acceptable"),
    code("bad_model", 422, "the model cannot be read"),
    code("bad_plan", 422, "the compiled scene cannot be read back"),
    code("bad_segment", 422, "a segment of the scene cannot run"),
    code("bad_table", 422, "the table cannot be read"),
    code("batch_too_large", 413, "too many in one call"),
    code("body_not_gzip", 400, "the body is not gzip as announced"),
    code("body_too_large", 413, "the body is too large"),
    code("body_too_slow", 408, "the body came too slowly"),
    code(
        "cannot_allocate",
        422,
        "nothing can be given under these limits",
    ),
    code("cannot_attribute", 422, "the score cannot be taken apart"),
    code(
        "cannot_evaluate",
        422,
        "nothing can be said of the policy from these logs",
    ),
    code("cannot_learn", 422, "nothing can be learned from this"),
    code(
        "cannot_shadow",
        422,
        "decisions did not record what the policy in shadow needs",
    ),
    code(
        "cluster_unusable",
        503,
        "the stores of the cluster cannot be used",
    ),
    code("command_line", 400, "the command line is not right"),
    code("data_in_use", 409, "the data folder is in use"),
    code("data_unusable", 503, "the data folder cannot be used"),
    code("duplicate_property", 422, "a property stands twice"),
    code("event_too_large", 413, "the event is too large"),
    code("file_unreadable", 400, "a file cannot be read"),
    code("fold_lag", 429, "the fold is behind"),
    code(
        "idempotency_conflict",
        409,
        "the idempotency key was used with another body",
    ),
    code("in_the_future", 422, "the event lies in the future"),
    code("internal", 500, "a fault of the program"),
    code("judging", 409, "what was logged is being judged"),
    code("link_contention", 429, "the link lost to others"),
    code(
        "log_truncated",
        404,
        "log retention let go of what was asked for",
    ),
    code(
        "malformed_event",
        422,
        "the input does not have the shape of an event",
    ),
    code("malformed_json", 400, "the JSON cannot be read"),
    code(
        "malformed_request",
        422,
        "the request does not have the right shape",
    ),
    code("malformed_row", 422, "the row does not fit the mapping"),
    code(
        "match_differs",
        409,
        "another matching was begun for the same file",
    ),
    code("method_not_allowed", 405, "the method is not allowed here"),
    code("missing_property", 422, "a required property is missing"),
    code("model_too_large", 422, "a model would outgrow its limit"),
    code("node_silent", 503, "this node did not tell that it lives"),
    code("not_linked", 422, "the identifier is not linked"),
    code(
        "not_one_of",
        422,
        "the value is not among the declared ones",
    ),
    code("not_ready", 503, "the program is not ready"),
    code("not_utf8", 400, "the text is not in its encoding"),
    code("not_yet", 503, "the position is not reached yet"),
    code(
        "nothing_to_learn_from",
        422,
        "the policy does not say what to learn from",
    ),
    code("out_of_range", 422, "the number is out of range"),
    code("partition_halted", 503, "a partition is halted"),
    code("personal_fields", 422, "personal fields cannot be kept yet"),
    code(
        "profile_too_large",
        422,
        "what is known of one customer could outgrow its row",
    ),
    code(
        "ragged_row",
        422,
        "the row has another number of cells than the header",
    ),
    code(
        "reserved_event_type",
        422,
        "an event type that only luopan writes",
    ),
    code("retention_too_short", 422, "the log keeps more than that"),
    code("rule_faults", 422, "the rule has faults"),
    code("scene_faults", 422, "the scene pack has faults"),
    code("scene_wanted", 422, "the request names no scene"),
    code("starting", 503, "the program is starting"),
    code("store_unavailable", 503, "a store failed"),
    code("store_unwritable", 503, "a store takes no writes"),
    code("target_not_empty", 409, "the target is not empty"),
    code("task_failing", 503, "a task cannot do its work"),
    code("terminal_unusable", 400, "the terminal cannot be used"),
    code("text_too_long", 422, "the text is too long"),
    code("too_little_to_learn_from", 422, "too few examples"),
    code("too_many_decisions", 429, "too many decisions at once"),
    code(
        "too_many_identifiers",
        422,
        "too many identifiers of one customer",
    ),
    code("too_many_items", 422, "the catalogue is full"),
    code("too_many_properties", 422, "too many properties"),
    code("too_many_requests", 429, "too many requests at once"),
    code(
        "too_many_versions",
        422,
        "too many versions of the catalogues",
    ),
    code("too_old", 422, "the event is older than the horizon"),
    code("unknown_action", 422, "there is no such action"),
    code("unknown_catalogue", 404, "there is no such catalogue"),
    code("unknown_contest", 404, "there is no such contest"),
    code("unknown_context", 422, "the request field is not declared"),
    code("unknown_customer", 404, "there is no such customer"),
    code("unknown_decision", 404, "there is no such decision"),
    code("unknown_event_type", 422, "the event type is not declared"),
    code("unknown_item", 404, "there is no such item"),
    code("unknown_mapping", 404, "there is no such import mapping"),
    code("unknown_model", 404, "there is no such model"),
    code("unknown_monitor", 404, "there is no such monitor"),
    code("unknown_policy", 404, "there is no such policy"),
    code("unknown_property", 422, "the property is not declared"),
    code(
        "unknown_quarantine",
        404,
        "nothing is quarantined under this id",
    ),
    code("unknown_route", 404, "there is nothing here"),
    code("unknown_scene", 404, "there is no such scene"),
    code("unknown_segment", 404, "there is no such segment"),
    code("unknown_sequence", 404, "there is no such sequence"),
    code("unreadable_plan", 503, "a stored plan cannot be read"),
    code(
        "unsupported_media_type",
        415,
        "the media type is not one that is read here",
    ),
    code("wrong_type", 422, "the value has the wrong type"),
];

/// The code written as `word`, when it is one of [`ALL`].
#[must_use]
pub fn find(word: &str) -> Option<&'static Code> {
    ALL.binary_search_by(|c| c.word.cmp(word))
        .ok()
        .map(|i| &ALL[i])
}

/// Where the page of a code is read.
#[must_use]
pub fn page(word: &str) -> String {
    format!(
        "{}/blob/main/docs/errors/{word}.md",
        env!("CARGO_PKG_REPOSITORY")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_stand_in_order() {
        assert!(ALL.windows(2).all(|w| w[0].word < w[1].word));
    }
}
