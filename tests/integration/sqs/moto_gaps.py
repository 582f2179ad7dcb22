"""Conformance tests that moto fails: test id → what moto does instead of what AWS documents.

The reason stands in the report of every run (`pytest -ra`). A line that moto no longer deserves fails the
suite.
"""

_MOVE = "has no message move tasks: StartMessageMoveTask and its relatives answer 500"
_RANGE = "does not check the ranges of queue attributes"

MOTO_CANNOT: dict[str, str] = {
    "test_a_bad_entry_does_not_fail_the_others": "accepts characters that XML does not allow",
    "test_a_bad_batch_of_handles_is_refused_whole": "has no limit of entries when handles are given",
    "test_an_empty_body_is_refused": "accepts it",
    "test_characters_that_xml_does_not_allow_are_refused": "accepts them",
    "test_attributes_count_towards_the_size_of_a_message": "counts the body only",
    "test_a_bad_message_attribute_is_refused[reserved]": "accepts reserved names",
    "test_a_bad_message_attribute_is_refused[empty]": "accepts an empty value",
    "test_a_bad_message_attribute_is_refused[number]": "accepts any text as a number",
    "test_a_bad_message_attribute_is_refused[eleven]": "has no limit of attributes",
    "test_a_delay_out_of_bounds_is_refused[-1]": "accepts negative delays",
    "test_a_bad_group_is_refused": "does not check group ids",
    "test_a_deduplication_id_needs_a_fifo_queue": "accepts one on standard queues",
    "test_the_visibility_of_a_deleted_message_cannot_be_changed": "names the error ReceiptHandleIsInvalid",
    "test_making_a_queue_again_with_another_attribute_is_refused": "does not say which attribute",
    "test_an_unknown_attribute_is_refused": "accepts unknown attributes when setting them",
    "test_an_attribute_out_of_range_is_refused": _RANGE,
    "test_a_queue_may_be_encrypted_with_a_key": "still says that SQS manages the encryption",
    "test_a_malformed_redrive_policy_is_refused[no JSON]": "answers 500",
    "test_a_malformed_redrive_policy_is_refused[no ARN]": "names the error QueueDoesNotExist",
    "test_a_maximum_receive_count_out_of_range_is_refused": _RANGE,
    "test_a_dead_letter_queue_must_exist": "names the error QueueDoesNotExist",
    "test_a_message_received_too_often_goes_to_the_dead_letter_queue_as_it_is": "sets no DeadLetterQueueSourceArn",
    "test_moved_messages_are_new_messages_in_their_own_source_queues": _MOVE,
    "test_a_moved_message_has_its_whole_budget_of_receives_again": _MOVE,
    "test_messages_can_be_moved_to_another_queue": _MOVE,
    "test_a_message_sent_straight_to_the_dead_letter_queue_cannot_go_back": _MOVE,
    "test_a_message_sent_straight_to_the_dead_letter_queue_can_be_moved_elsewhere": _MOVE,
    "test_a_move_keeps_to_its_rate_and_can_be_cancelled": _MOVE,
    "test_a_move_fails_when_its_destination_is_deleted": _MOVE,
    "test_only_a_dead_letter_queue_can_be_moved_from": _MOVE,
    "test_queues_of_a_move_must_exist": _MOVE,
    "test_an_unknown_task_cannot_be_cancelled": _MOVE,
}
