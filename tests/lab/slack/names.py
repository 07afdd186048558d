"""The names that Slack knows: bot events, bot scopes, and which event wants which scope."""

from __future__ import annotations

SCOPE_OF_EVENT = {
    "app_mention": "app_mentions:read",
    "channel_archive": "channels:read",
    "channel_created": "channels:read",
    "channel_deleted": "channels:read",
    "channel_history_changed": "channels:history",
    "channel_id_changed": "channels:read",
    "channel_left": "channels:read",
    "channel_rename": "channels:read",
    "channel_shared": "channels:read",
    "channel_unarchive": "channels:read",
    "channel_unshared": "channels:read",
    "dnd_updated_user": "dnd:read",
    "email_domain_changed": "team:read",
    "emoji_changed": "emoji:read",
    "file_change": "files:read",
    "file_created": "files:read",
    "file_deleted": "files:read",
    "file_public": "files:read",
    "file_shared": "files:read",
    "file_unshared": "files:read",
    "group_archive": "groups:read",
    "group_deleted": "groups:read",
    "group_history_changed": "groups:history",
    "group_left": "groups:read",
    "group_rename": "groups:read",
    "group_unarchive": "groups:read",
    "im_history_changed": "im:history",
    "link_shared": "links:read",
    "member_joined_channel": "channels:read",
    "member_left_channel": "channels:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "pin_added": "pins:read",
    "pin_removed": "pins:read",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "shared_channel_invite_accepted": "conversations.connect:manage",
    "shared_channel_invite_approved": "conversations.connect:manage",
    "shared_channel_invite_declined": "conversations.connect:manage",
    "shared_channel_invite_received": "conversations.connect:write",
    "star_added": "stars:read",
    "star_removed": "stars:read",
    "subteam_created": "usergroups:read",
    "subteam_members_changed": "usergroups:read",
    "subteam_updated": "usergroups:read",
    "team_domain_change": "team:read",
    "team_join": "users:read",
    "team_rename": "team:read",
    "user_change": "users:read",
    "user_huddle_changed": "users:read",
    "user_profile_changed": "users:read",
    "user_status_changed": "users:read",
}
FREE_EVENTS = {
    "app_context_changed",
    "app_deleted",
    "app_home_opened",
    "app_installed",
    "app_rate_limited",
    "app_requested",
    "app_uninstalled",
    "app_uninstalled_team",
    "assistant_thread_context_changed",
    "assistant_thread_started",
    "entity_details_requested",
    "function_executed",
    "grid_migration_finished",
    "grid_migration_started",
    "message.app_home",
    "message_metadata_deleted",
    "message_metadata_posted",
    "message_metadata_updated",
    "team_access_granted",
    "team_access_revoked",
    "tokens_revoked",
    "workflow_deleted",
    "workflow_published",
    "workflow_step_deleted",
    "workflow_step_execute",
    "workflow_unpublished",
}
BOT_EVENTS = frozenset(SCOPE_OF_EVENT) | frozenset(FREE_EVENTS)

_SCOPES = """
    app_mentions:read app_configurations:read app_configurations:write assistant:write
    bookmarks:read bookmarks:write calls:read calls:write canvases:read canvases:write
    channels:history channels:join channels:manage channels:read channels:write.invites
    channels:write.topic chat:write chat:write.customize chat:write.public commands
    conversations.connect:manage conversations.connect:read conversations.connect:write
    conversations:write.invites conversations:write.topic datastore:read datastore:write
    dnd:read emoji:read files:read files:write groups:history groups:read groups:write
    groups:write.invites groups:write.topic im:history im:read im:write im:write.topic
    incoming-webhook links.embed:write links:read links:write lists:read lists:write
    metadata.message:read mpim:history mpim:read mpim:write mpim:write.topic pins:read pins:write
    reactions:read reactions:write reminders:read reminders:write remote_files:read
    remote_files:share remote_files:write search:read.files search:read.public
    search:read.users stars:read team.billing:read team.preferences:read team:read
    tokens.basic triggers:read triggers:write usergroups:read usergroups:write
    users.profile:read users:read users:read.email users:write workflow.steps:execute
    workflows.templates:read workflows.templates:write
"""
BOT_SCOPES = frozenset(_SCOPES.split())
