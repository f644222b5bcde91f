// SPDX-License-Identifier: Apache-2.0

package scripted

import "strings"

// storyText was written for this project. It is long enough to be interrupted, about a
// minute of speech.
func storyText() string {
	return strings.Join([]string{
		"Long ago, on a rock at the edge of the northern sea, there stood a small lighthouse.",
		"Its keeper was an old woman, and every evening she climbed ninety steps to light the lamp.",
		"One autumn night a storm came down so quickly that the gulls had no time to hide.",
		"The wind broke a window, the rain ran down the stairs, and the great lamp went out.",
		"Far away on the water she heard a bell, and she knew that a ship was looking for the light.",
		"She had no dry match and no dry wood, but she still had her voice.",
		"So she opened the door, stood in the rain, and sang the longest song she knew.",
		"The sailors heard it between the waves, and they turned their ship toward the sound.",
		"All night she sang, and whenever she paused for breath the bell answered her.",
		"When morning came the ship lay safe behind the rock, and its captain climbed the ninety steps to thank her.",
		"The keeper could only whisper by then, but she smiled and gave him a cup of tea.",
		"Since that day sailors say that a light can be put out, but a voice finds its own way home.",
	}, " ")
}
