// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Grants are what the agent's token lets it do in a room.
type Grants struct {
	Room              string `json:"room"`
	RoomJoin          bool   `json:"roomJoin"`
	CanPublish        bool   `json:"canPublish"`
	CanSubscribe      bool   `json:"canSubscribe"`
	CanPublishData    bool   `json:"canPublishData"`
	CanUpdateMetadata bool   `json:"canUpdateOwnMetadata"` // for the agent's state
}

// claims are those of an access token.
type claims struct {
	jwt.RegisteredClaims
	Name  string `json:"name,omitempty"`
	Kind  string `json:"kind,omitempty"` // agents may publish what others have said
	Video Grants `json:"video"`
}

func grantsFor(room string) Grants {
	return Grants{Room: room, RoomJoin: true, CanPublish: true, CanSubscribe: true, CanPublishData: true, CanUpdateMetadata: true}
}

// leeway is how far the clock of the server may be behind ours.
const leeway = 10 * time.Second

// accessToken signs a token that lets the agent into a room.
func (c Config) accessToken(ctx context.Context, room string, now time.Time) (string, error) {
	secret, err := c.Secret(ctx)
	if err != nil {
		return "", fmt.Errorf("livekit: secret: %w", err)
	}
	if secret == "" {
		return "", errors.New("livekit: secret: it is empty: give the API secret that belongs to the key")
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: c.Key, Subject: c.Identity, NotBefore: jwt.NewNumericDate(now.Add(-leeway)), ExpiresAt: jwt.NewNumericDate(now.Add(c.Lifetime)),
		},
		Name: c.Name, Kind: "agent", Video: grantsFor(room),
	}).SignedString([]byte(secret))
}
