//! The places of a gateway message that are read, as a tree: what each key leads to.

/// A value that we know by its path, or [`Node::Other`]. Those that hold others are places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Other,
    /// Around the document.
    Outside,
    Envelope,
    Op,
    Seq,
    Event,
    Data,
    // Of HELLO and READY.
    Interval,
    SessionId,
    ResumeUrl,
    User,
    UserId,
    Application,
    ApplicationId,
    ApplicationFlags,
    // Of a message.
    Id,
    Channel,
    Guild,
    Type,
    Content,
    Nonce,
    Webhook,
    Author,
    AuthorId,
    Username,
    GlobalName,
    Bot,
    Mentions,
    Mention,
    MentionId,
    Reference,
    ReferenceId,
    Referenced,
    ReferencedAuthor,
    ReferencedAuthorId,
    Member,
    /// Of a member, who it is: only interactions say so here.
    MemberUser,
    Roles,
    Role,
    // Of an interaction.
    Token,
    /// The application that an interaction is meant for.
    Recipient,
    Command,
    CommandName,
    Options,
    CommandOption,
    OptionValue,
    // Of a reaction.
    Reactor,
    Reacted,
    Emoji,
    EmojiId,
    EmojiName,
    // Of a channel, by itself or in a list.
    Name,
    Parent,
    Places,
    OnePlace,
    PlaceId,
    PlaceName,
    PlaceParent,
    PlaceType,
    // Of the files that come with a message.
    Files,
    File,
    FileName,
    FileType,
    FileSize,
    FileUrl,
    FileSeconds,
    /// A list of what a message may hold beside its text.
    Extras,
    Extra,
}

impl Node {
    pub(super) const COUNT: usize = Node::Extra as usize + 1;

    /// What `key` leads to from here. Bytes are compared in place, texts by a call each.
    pub(super) fn child(self, key: &[u8]) -> Node {
        match (self, key) {
            (Node::Data, _) => Node::in_data(key),
            (Node::Envelope, b"op") => Node::Op,
            (Node::Envelope, b"s") => Node::Seq,
            (Node::Envelope, b"t") => Node::Event,
            (Node::Envelope, b"d") => Node::Data,
            (Node::User, b"id") => Node::UserId,
            (Node::Member, b"user") => Node::MemberUser,
            (Node::Member, b"roles") => Node::Roles,
            (Node::Command, b"name") => Node::CommandName,
            (Node::Command, b"options") => Node::Options,
            (Node::CommandOption, b"value") => Node::OptionValue,
            (Node::File, b"filename") => Node::FileName,
            (Node::File, b"content_type") => Node::FileType,
            (Node::File, b"size") => Node::FileSize,
            (Node::File, b"url") => Node::FileUrl,
            (Node::File, b"duration_secs") => Node::FileSeconds,
            (Node::OnePlace, b"id") => Node::PlaceId,
            (Node::OnePlace, b"name") => Node::PlaceName,
            (Node::OnePlace, b"parent_id") => Node::PlaceParent,
            (Node::OnePlace, b"type") => Node::PlaceType,
            (Node::Application, b"id") => Node::ApplicationId,
            (Node::Application, b"flags") => Node::ApplicationFlags,
            (Node::Author | Node::MemberUser, b"id") => Node::AuthorId,
            (Node::Author | Node::User | Node::MemberUser, b"username") => Node::Username,
            (Node::Author | Node::User | Node::MemberUser, b"global_name") => Node::GlobalName,
            (Node::Author | Node::MemberUser, b"bot") => Node::Bot,
            (Node::Emoji, b"id") => Node::EmojiId,
            (Node::Emoji, b"name") => Node::EmojiName,
            (Node::Mention, b"id") => Node::MentionId,
            (Node::Reference, b"message_id") => Node::ReferenceId,
            (Node::Referenced, b"author") => Node::ReferencedAuthor,
            (Node::ReferencedAuthor, b"id") => Node::ReferencedAuthorId,
            _ => Node::Other,
        }
    }

    fn in_data(key: &[u8]) -> Node {
        match key {
            b"heartbeat_interval" => Node::Interval,
            b"session_id" => Node::SessionId,
            b"resume_gateway_url" => Node::ResumeUrl,
            b"user" => Node::User,
            b"application" => Node::Application,
            b"id" => Node::Id,
            b"channel_id" => Node::Channel,
            b"guild_id" => Node::Guild,
            b"type" => Node::Type,
            b"content" => Node::Content,
            b"nonce" => Node::Nonce,
            b"webhook_id" => Node::Webhook,
            b"author" => Node::Author,
            b"mentions" => Node::Mentions,
            b"message_reference" => Node::Reference,
            b"referenced_message" => Node::Referenced,
            b"attachments" => Node::Files,
            b"embeds" | b"components" | b"sticker_items" | b"message_snapshots" => Node::Extras,
            b"poll" => Node::Extra,
            b"member" => Node::Member,
            b"token" => Node::Token,
            b"application_id" => Node::Recipient,
            b"data" => Node::Command,
            b"user_id" => Node::Reactor,
            b"message_id" => Node::Reacted,
            b"emoji" => Node::Emoji,
            b"name" => Node::Name,
            b"parent_id" => Node::Parent,
            b"channels" | b"threads" => Node::Places,
            _ => Node::Other,
        }
    }

    /// What the values of a list are.
    pub(super) fn element(self) -> Node {
        match self {
            Node::Mentions => Node::Mention,
            Node::Extras => Node::Extra,
            Node::Files => Node::File,
            Node::Roles => Node::Role,
            Node::Options => Node::CommandOption,
            Node::Places => Node::OnePlace,
            _ => Node::Other,
        }
    }

    /// The place around this place.
    pub(super) fn parent(self) -> Node {
        match self {
            Node::Data => Node::Envelope,
            Node::Mention => Node::Mentions,
            Node::ReferencedAuthor => Node::Referenced,
            Node::MemberUser | Node::Roles => Node::Member,
            Node::Options => Node::Command,
            Node::CommandOption => Node::Options,
            Node::OnePlace => Node::Places,
            Node::File => Node::Files,
            Node::Envelope | Node::Outside => Node::Outside,
            _ => Node::Data,
        }
    }

    pub(super) fn is_object(self) -> bool {
        matches!(
            self,
            Node::Envelope
                | Node::Data
                | Node::User
                | Node::Application
                | Node::Author
                | Node::Mention
                | Node::Reference
                | Node::Referenced
                | Node::ReferencedAuthor
                | Node::Member
                | Node::MemberUser
                | Node::Command
                | Node::CommandOption
                | Node::Emoji
                | Node::OnePlace
                | Node::File
        )
    }

    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Node::Mentions
                | Node::Extras
                | Node::Files
                | Node::Roles
                | Node::Options
                | Node::Places
        )
    }
}
