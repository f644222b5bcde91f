// SPDX-License-Identifier: Apache-2.0

package roomproto

// Request is a SignalRequest: from a participant to the server. One field is set.
type Request struct {
	Offer        *Description    `pb:"1"`
	Answer       *Description    `pb:"2"`
	Trickle      *Trickle        `pb:"3"`
	AddTrack     *AddTrack       `pb:"4"`
	Mute         *Mute           `pb:"5"`
	Subscription *Subscription   `pb:"6"`
	Leave        *Leave          `pb:"8"`
	SyncState    *SyncState      `pb:"12"`
	Ping         int64           `pb:"14"` // milliseconds of the Unix clock, for servers that do not know PingReq
	Metadata     *MetadataUpdate `pb:"15"`
	PingReq      *Ping           `pb:"16"`
}

// Response is a SignalResponse: from the server to a participant. One field is set.
type Response struct {
	Join           *Join              `pb:"1"`
	Answer         *Description       `pb:"2"`
	Offer          *Description       `pb:"3"`
	Trickle        *Trickle           `pb:"4"`
	Update         *ParticipantUpdate `pb:"5"`
	TrackPublished *TrackPublished    `pb:"6"`
	Leave          *Leave             `pb:"8"`
	Mute           *Mute              `pb:"9"`
	RefreshToken   string             `pb:"16"`
	Unpublished    *TrackUnpublished  `pb:"17"`
	Pong           int64              `pb:"18"`
	Reconnect      *Reconnect         `pb:"19"`
	PongResp       *Pong              `pb:"20"`
	Subscribed     *SubscriptionReply `pb:"21"`
	Reply          *RequestReply      `pb:"22"`
}

// Target says which of the two connections is meant.
type Target int32

// The connections, as the participant sees them.
const (
	Publisher  Target = 0
	Subscriber Target = 1
)

// Description is a SessionDescription.
type Description struct {
	Type string `pb:"1"` // offer, answer
	SDP  string `pb:"2"`
	ID   uint32 `pb:"3"` // of the offer; its answer has the same
}

// Trickle is an ICE candidate. Candidate is the JSON of an RTCIceCandidateInit.
type Trickle struct {
	Candidate string `pb:"1"`
	Target    Target `pb:"2"`
	Final     bool   `pb:"3"`
}

// TrackType is of what a track is.
type TrackType int32

// Audio is the type of a track of sound; there are others.
const Audio TrackType = 0

// TrackSource is where a track comes from.
type TrackSource int32

// The sources that matter here.
const (
	SourceUnknown    TrackSource = 0
	SourceMicrophone TrackSource = 2
)

// FeatureNoDTX says that silence is sent as well, or not at all by a sender's own choice.
const FeatureNoDTX int32 = 1

// AddTrack announces a track, ahead of the offer that has it.
type AddTrack struct {
	CID        string      `pb:"1"` // the track's id in the offer
	Name       string      `pb:"2"`
	Type       TrackType   `pb:"3"`
	Source     TrackSource `pb:"8"`
	DisableRED bool        `pb:"13"`
	Stream     string      `pb:"15"`
	Features   []int32     `pb:"17"`
}

// Mute says that a track was muted or is not any more.
type Mute struct {
	SID   string `pb:"1"`
	Muted bool   `pb:"2"`
}

// Subscription subscribes to tracks.
type Subscription struct {
	TrackSIDs []string             `pb:"1"`
	Subscribe bool                 `pb:"2"`
	Tracks    []*ParticipantTracks `pb:"3"`
}

// ParticipantTracks are tracks of one participant.
type ParticipantTracks struct {
	ParticipantSID string   `pb:"1"`
	TrackSIDs      []string `pb:"2"`
}

// Action is what a Leave asks for.
type Action int32

// The actions.
const (
	Disconnect Action = 0
	Resume     Action = 1 // come back with reconnect=1
	Restart    Action = 2 // join anew
)

// Reason says why somebody left, or has to.
type Reason int32

// The reasons that matter here.
const (
	ClientInitiated    Reason = 1
	DuplicateIdentity  Reason = 2
	ServerShutdown     Reason = 3
	ParticipantRemoved Reason = 4
	RoomDeleted        Reason = 5
	StateMismatch      Reason = 6
	SignalClose        Reason = 9
	RoomClosed         Reason = 10
	UserUnavailable    Reason = 11
	UserRejected       Reason = 12
	ConnectionTimeout  Reason = 14
)

// Leave ends the connection.
type Leave struct {
	CanReconnect bool   `pb:"1"` // of servers before protocol 13
	Reason       Reason `pb:"2"`
	Action       Action `pb:"3"`
}

// SyncState tells a server that may be another one how the participant stands.
type SyncState struct {
	Answer       *Description      `pb:"1"` // of the subscriber
	Subscription *Subscription     `pb:"2"`
	Published    []*TrackPublished `pb:"3"`
	Channels     []*DataChannel    `pb:"4"`
	Offer        *Description      `pb:"5"` // of the subscriber
}

// DataChannel names a channel that is open.
type DataChannel struct {
	Label  string `pb:"1"`
	ID     uint32 `pb:"2"`
	Target Target `pb:"3"`
}

// MetadataUpdate changes what a participant says of itself.
type MetadataUpdate struct {
	Attributes map[string]string `pb:"3"`
	RequestID  uint32            `pb:"4"`
}

// Ping asks for a Pong.
type Ping struct {
	Timestamp int64 `pb:"1"` // milliseconds of the Unix clock
	RTT       int64 `pb:"2"` // milliseconds
}

// Pong answers a Ping.
type Pong struct {
	LastPing  int64 `pb:"1"`
	Timestamp int64 `pb:"2"`
}

// Join is the answer to who may come in.
type Join struct {
	Room              *Room          `pb:"1"`
	Participant       *Participant   `pb:"2"`
	Others            []*Participant `pb:"3"`
	Version           string         `pb:"4"` // of servers without Server
	ICEServers        []*ICEServer   `pb:"5"`
	SubscriberPrimary bool           `pb:"6"`
	AlternativeURL    string         `pb:"7"`
	Client            *ClientConfig  `pb:"8"`
	PingTimeout       int32          `pb:"10"` // seconds
	PingInterval      int32          `pb:"11"` // seconds
	Server            *ServerInfo    `pb:"12"`
}

// Reconnect is the answer to who comes back.
type Reconnect struct {
	ICEServers []*ICEServer  `pb:"1"`
	Client     *ClientConfig `pb:"2"`
}

// ClientConfig is what the server wants of a participant.
type ClientConfig struct {
	ForceRelay int32 `pb:"5"` // RelayEnabled
}

// RelayEnabled is the ForceRelay that has media go by TURN alone.
const RelayEnabled int32 = 2

// ServerInfo says which server it is.
type ServerInfo struct {
	Version  string `pb:"2"`
	Protocol int32  `pb:"3"`
	Region   string `pb:"4"`
}

// Room is a room.
type Room struct {
	SID  string `pb:"1"`
	Name string `pb:"2"`
}

// ICEServer is a STUN or TURN server.
type ICEServer struct {
	URLs       []string `pb:"1"`
	Username   string   `pb:"2"`
	Credential string   `pb:"3"`
}

// TrackPublished says that a track is known.
type TrackPublished struct {
	CID   string `pb:"1"`
	Track *Track `pb:"2"`
}

// TrackUnpublished says that the server has taken a track of ours away.
type TrackUnpublished struct {
	SID string `pb:"1"`
}

// ParticipantUpdate says what has changed.
type ParticipantUpdate struct {
	Participants []*Participant `pb:"1"`
	Full         bool           `pb:"2"` // they are all there are
}

// State is how far a participant is.
type State int32

// The states.
const (
	Joining      State = 0
	Joined       State = 1
	Active       State = 2
	Disconnected State = 3
)

// Kind is what a participant is.
type Kind int32

// The kinds.
const (
	KindStandard  Kind = 0
	KindSIP       Kind = 3
	KindAgent     Kind = 4
	KindConnector Kind = 7
)

// Participant is somebody in a room.
type Participant struct {
	SID        string            `pb:"1"`
	Identity   string            `pb:"2"`
	State      State             `pb:"3"`
	Tracks     []*Track          `pb:"4"`
	Metadata   string            `pb:"5"`
	Name       string            `pb:"9"`
	Kind       Kind              `pb:"14"`
	Attributes map[string]string `pb:"15"`
	Reason     Reason            `pb:"16"`
}

// Track is something that a participant publishes.
type Track struct {
	SID        string      `pb:"1"`
	Type       TrackType   `pb:"2"`
	Name       string      `pb:"3"`
	Muted      bool        `pb:"4"`
	Source     TrackSource `pb:"9"`
	MimeType   string      `pb:"11"`
	Encryption int32       `pb:"16"` // 0 = none
	Stream     string      `pb:"17"`
}

// SubscriptionReply says that a subscription failed.
type SubscriptionReply struct {
	TrackSID string `pb:"1"`
	Error    int32  `pb:"2"`
}

// RequestReply answers a request that went wrong; Reason 0 = it did not.
type RequestReply struct {
	RequestID uint32 `pb:"1"`
	Reason    int32  `pb:"2"`
	Message   string `pb:"3"`
}
