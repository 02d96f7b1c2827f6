//! One suite for both engines: whatever a repository promises, it keeps over SQLite and over
//! MongoDB alike.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod accounts;
mod bills;
mod bindings;
mod content;
mod identity;
mod images;
mod jobs_found;
mod jobs_written;
mod load;
mod matches;
mod oauth;
mod place;
mod push_tokens;
mod pushes;
mod refreshes;
mod sample;
mod wallets;

use place::{Engine, Place};

/// Each test as one of SQLite and one of MongoDB; a test takes a [`Place`].
macro_rules! on_both_engines {
    ($($module:ident :: $test:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let place = super::Place::new(super::Engine::Sqlite).await;
                super::$module::$test(&place).await;
                place.remove().await;
            })+
        }
        mod mongodb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let place = super::Place::new(super::Engine::Mongo).await;
                super::$module::$test(&place).await;
                place.remove().await;
            })+
        }
    };
}

on_both_engines! {
    jobs_written::a_job_comes_back_as_it_was_stored,
    jobs_written::an_id_is_taken_once,
    jobs_written::an_idempotency_key_is_taken_once_for_each_owner,
    jobs_written::a_unique_key_is_taken_once_for_each_owner,
    jobs_written::a_change_is_saved_over_the_version_that_it_came_from_only,
    jobs_written::a_change_of_an_unknown_job_is_stale,
    jobs_written::another_owner_cannot_save_over_a_job,
    jobs_written::concurrent_saves_of_one_version_have_one_winner,
    jobs_written::a_batch_of_winners_and_losers_gives_each_its_own_answer,
    jobs_written::concurrent_inserts_of_one_key_have_one_winner,
    jobs_written::settled_jobs_are_removed_earliest_first_up_to_the_limit,
    jobs_written::what_was_answered_is_there_after_the_store_is_opened_again,
    jobs_found::concurrent_gets_give_each_its_own_job,
    jobs_found::a_job_is_found_by_its_keys,
    jobs_found::no_question_crosses_owners,
    jobs_found::pages_follow_each_other_newest_first,
    jobs_found::every_part_of_a_filter_counts,
    jobs_found::a_count_stops_at_its_cap,
    jobs_found::due_jobs_come_longest_due_first,
    jobs_found::lapsed_jobs_are_running_ones_whose_lease_has_ended,
    jobs_found::lingering_jobs_are_queued_ones_of_one_queue,
    push_tokens::a_device_token_is_taken_once_and_moves_whole,
    push_tokens::devices_are_listed_newest_first_by_pages,
    push_tokens::answers_of_apple_and_registrations_that_cross_end_well,
    push_tokens::a_corrected_environment_is_found_where_apple_knows_it,
    push_tokens::a_segment_has_every_device_that_gets_pushes_once,
    push_tokens::a_range_finds_the_languages_of_devices,
    push_tokens::devices_that_nobody_registers_are_found_oldest_first,
    pushes::a_campaign_lives_and_is_its_owners,
    pushes::shards_are_summed_found_open_and_forgotten,
    images::a_file_name_is_taken_once_for_each_owner,
    images::tags_are_matched_all_or_any,
    images::pictures_come_in_the_order_that_was_asked_for,
    images::deleted_pictures_are_left_out_unless_asked_for,
    images::a_picture_changes_like_any_record,
    bills::a_bill_comes_back_as_it_was_stored_and_only_to_its_owner,
    bills::a_client_reference_is_taken_once_for_each_owner,
    bills::of_many_changes_of_one_version_one_wins,
    bills::bills_are_listed_newest_first_by_owner_and_status,
    bills::operators_find_bills_by_user_status_and_time,
    bills::held_refunds_are_found_longest_waiting_first,
    bills::bills_whose_money_moved_come_once_each_in_the_order_of_time,
    bindings::an_account_is_one_for_each_user_and_provider,
    bindings::an_account_is_forgotten_as_it_was_seen,
    bindings::a_consent_is_used_once_and_forgotten_in_time,
    wallets::a_wallet_is_its_owners_and_comes_back_as_it_was,
    wallets::of_several_changes_of_one_wallet_one_is_saved,
    matches::a_report_is_replaced_as_a_whole,
    matches::old_reports_go_with_their_pages,
    matches::reports_are_found_by_their_day,
    accounts::secrets_are_stored_and_come_back,
    accounts::a_username_is_taken_once,
    accounts::a_taken_username_cannot_be_saved,
    accounts::users_and_clients_are_listed_in_order,
    accounts::a_session_lives,
    oauth::a_device_is_one_for_each_user_and_name,
    oauth::a_code_is_used_once,
    oauth::what_expired_is_removed_earliest_first,
    refreshes::a_thousand_interleavings_keep_the_promises,
    identity::a_key_lives,
    identity::sign_ins_are_listed_for_their_owner_alone,
    identity::failures_are_counted_and_forgotten,
    identity::audit_entries_are_kept_and_found,
    content::times_keep_their_microseconds,
    content::any_text_comes_back_as_it_was,
    content::numbers_are_kept_or_refused_and_never_altered,
    content::what_cannot_be_read_back_is_refused,
    content::a_refused_record_does_not_harm_its_neighbours,
    load::a_full_intake_is_busy_and_loses_nothing_that_it_took,
    load::a_caller_that_goes_away_does_not_stop_its_write,
    load::a_closed_store_has_written_what_it_took_and_takes_no_more,
    load::a_healthy_store_has_no_findings,
    load::migrating_again_changes_nothing,
}

mod only_mongodb;
mod only_sqlite;
