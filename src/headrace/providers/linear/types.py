"""What Linear lists: every connection of its schema that is not the reader's own inbox or a search, and what it gives
in one answer.

Source: the GraphQL schema of @linear/sdk (packages/sdk/src/schema.graphql of github.com/linear/linear).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Type:
    """A type of objects that Linear lists.

    `field` is the connection in the query root, `one` the field of a single object by id. `filtered`: the connection
    takes `filter.updatedAt`. `trashed`: what is deleted goes to the trash first, with a flag. `disabled`: it takes
    `includeDisabled`. `kept`: it is never deleted. `whole`: it is no connection, and comes in one answer, a list or,
    where it is `single`, the one object that there is. `volatile` are fields that change with the hour, with who reads,
    or with what is counted.
    """

    name: str
    field: str
    one: str | None = None
    filtered: bool = True
    trashed: bool = False
    disabled: bool = False
    kept: bool = False
    whole: bool = False
    single: bool = False
    volatile: tuple[str, ...] = ()

    @property
    def collection(self) -> str:
        return f"linear:{self.name}"


def _unfiltered(name: str, field: str, one: str | None = None) -> Type:
    return Type(name, field, one, filtered=False)


TYPES: tuple[Type, ...] = (
    Type(
        "organization",
        "organization",
        whole=True,
        single=True,
        filtered=False,
        kept=True,
        volatile=("createdIssueCount", "customerCount", "periodUploadVolume", "userCount"),
    ),
    Type("issue", "issues", "issue", trashed=True),
    Type("comment", "comments", "comment"),
    Type("project", "projects", "project", trashed=True),
    Type("project_milestone", "projectMilestones", "projectMilestone"),
    Type("project_update", "projectUpdates", "projectUpdate"),
    Type("project_label", "projectLabels", "projectLabel"),
    _unfiltered("project_status", "projectStatuses", "projectStatus"),
    _unfiltered("project_relation", "projectRelations", "projectRelation"),
    Type("cycle", "cycles", "cycle", volatile=("isActive", "isFuture", "isNext", "isPast", "isPrevious")),
    Type("team", "teams", "team"),
    _unfiltered("team_membership", "teamMemberships", "teamMembership"),
    Type("user", "users", "user", disabled=True, kept=True, volatile=("isMe", "lastSeen", "calendarHash")),
    _unfiltered("external_user", "externalUsers", "externalUser"),
    Type("issue_label", "issueLabels", "issueLabel"),
    _unfiltered("issue_relation", "issueRelations", "issueRelation"),
    Type("workflow_state", "workflowStates", "workflowState"),
    Type("document", "documents", "document", trashed=True),
    Type("attachment", "attachments", "attachment"),
    Type("initiative", "initiatives", "initiative", trashed=True),
    Type("initiative_update", "initiativeUpdates", "initiativeUpdate"),
    Type("initiative_label", "initiativeLabels", "initiativeLabel"),
    _unfiltered("initiative_to_project", "initiativeToProjects", "initiativeToProject"),
    _unfiltered("initiative_relation", "initiativeRelations", "initiativeRelation"),
    Type("customer", "customers", "customer"),
    Type("customer_need", "customerNeeds", "customerNeed"),
    _unfiltered("customer_status", "customerStatuses", "customerStatus"),
    _unfiltered("customer_tier", "customerTiers", "customerTier"),
    Type("release", "releases", "release", trashed=True),
    Type("release_stage", "releaseStages", "releaseStage"),
    Type("release_pipeline", "releasePipelines", "releasePipeline", trashed=True),
    Type("release_note", "releaseNotes", "releaseNote"),
    _unfiltered("issue_to_release", "issueToReleases", "issueToRelease"),
    _unfiltered("roadmap", "roadmaps", "roadmap"),
    _unfiltered("roadmap_to_project", "roadmapToProjects", "roadmapToProject"),
    Type("custom_view", "customViews", "customView"),
    _unfiltered("favorite", "favorites", "favorite"),
    _unfiltered("emoji", "emojis", "emoji"),
    Type("agent_activity", "agentActivities", "agentActivity"),
    _unfiltered("agent_session", "agentSessions", "agentSession"),
    Type("agent_skill", "agentSkills", "agentSkill"),
    _unfiltered("integration", "integrations", "integration"),
    _unfiltered("integration_template", "integrationTemplates", "integrationTemplate"),
    _unfiltered("organization_invite", "organizationInvites", "organizationInvite"),
    _unfiltered("time_schedule", "timeSchedules", "timeSchedule"),
    _unfiltered("triage_responsibility", "triageResponsibilities", "triageResponsibility"),
    _unfiltered("webhook", "webhooks", "webhook"),
    Type("template", "templates", "template", filtered=False, whole=True),
    Type("audit_entry", "auditEntries", kept=True),
)
