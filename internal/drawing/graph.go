// SPDX-License-Identifier: Apache-2.0

package drawing

// Style says what kind of edge it is.
type Style uint8

// The styles.
const (
	Plain       Style = iota
	Conditional       // it is taken when something holds
	Fallback          // it is taken when the node in front fails
)

// Node is a node of a picture.
type Node struct {
	ID string
	// Kind stands below the id, and Class chooses the colour: input, speech, model, text, route,
	// work or side.
	Kind, Class string
	// Group is a frame that it stands in, empty = none.
	Group string
}

// Edge is an edge of a picture.
type Edge struct {
	From, To string
	Label    string
	Style    Style
}

// Graph is what is drawn, in the order in which it is to be read.
type Graph struct {
	Title string
	Nodes []Node
	Edges []Edge
}

// classes lists the classes in the order of the styles that are written.
func classes() []string {
	return []string{"input", "speech", "model", "text", "route", "work", "side"}
}

// colour is how a class looks: fill and line by day, fill and line by night.
type colour struct{ fill, line, darkFill, darkLine string }

func colourOf(class string) colour {
	switch class {
	case "input":
		return colour{"#e8eef9", "#3b5b92", "#1f2a3d", "#8fb0e6"}
	case "speech":
		return colour{"#e3f4ea", "#2b7a4b", "#16311f", "#7fd3a0"}
	case "model":
		return colour{"#f3e9fb", "#7440a0", "#2c1d3a", "#c79bea"}
	case "text":
		return colour{"#eef0f2", "#5a6572", "#262b31", "#aab4bf"}
	case "route":
		return colour{"#fdf1dc", "#96690f", "#352810", "#e6bd6a"}
	case "work":
		return colour{"#e2f3f5", "#1d7480", "#12313a", "#76cbd8"}
	}
	return colour{"#fbe6e6", "#a13c3c", "#381d1d", "#ea9a9a"}
}
