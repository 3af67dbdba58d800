// Prints what github.com/containerd/platforms makes of texts and indexes.
//
// A line is JSON. For a text, the answer has the platform that it is read as (null if it is refused), printed, in
// canonical form, and whether it is UTF-8. For a node and the platforms of an index, the answer has the places of what
// the node can run, best first.
package main

import (
	"encoding/json"
	"sort"
	"unicode/utf8"

	"kip-image-oracle/lines"

	"github.com/containerd/platforms"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
)

type question struct {
	Text  *string           `json:"text"`
	Node  specs.Platform    `json:"node"`
	Index []*specs.Platform `json:"index"`
}

type reading struct {
	Parsed     *specs.Platform `json:"parsed"`
	Printed    string          `json:"printed"`
	Normalized specs.Platform  `json:"normalized"`
	UTF8       bool            `json:"utf8"`
}

func main() {
	lines.Main(func(line string) (string, error) {
		var asked question
		if err := json.Unmarshal([]byte(line), &asked); err != nil {
			return "", err
		}
		var answer any
		if asked.Text != nil {
			answer = read(*asked.Text)
		} else {
			answer = candidates(asked.Node, asked.Index)
		}
		answered, err := json.Marshal(answer)
		return string(answered), err
	})
}

func read(text string) reading {
	parsed, err := platforms.Parse(text)
	if err != nil {
		return reading{}
	}
	valid := utf8.ValidString(parsed.OSVersion)
	for _, feature := range parsed.OSFeatures {
		valid = valid && utf8.ValidString(feature)
	}
	return reading{&parsed, platforms.FormatAll(parsed), platforms.Normalize(parsed), valid}
}

// Sorts as containerd's images.Manifest does it for the matcher that is the default on such a node.
func candidates(node specs.Platform, index []*specs.Platform) []int {
	matcher := matcherOn(platforms.Normalize(node))
	places := []int{}
	for place, platform := range index {
		if platform != nil && platform.OS == "" {
			// The module takes the system that this program runs on: on the node, that is the node's.
			platform.OS = node.OS
		}
		if platform == nil || matcher.Match(*platform) {
			places = append(places, place)
		}
	}
	sort.SliceStable(places, func(i, j int) bool {
		one, other := index[places[i]], index[places[j]]
		if one == nil || other == nil {
			return one != nil
		}
		return matcher.Less(*one, *other)
	})
	return places
}

func matcherOn(node specs.Platform) platforms.MatchComparer {
	if node.OS == "windows" {
		return onWindows{platforms.NewMatcher(node)}
	}
	return platforms.Only(node)
}

// What platforms.Default is on Windows; the module has its order there only.
type onWindows struct{ platforms.Matcher }

func (m onWindows) Less(one, other specs.Platform) bool {
	matches, otherMatches := m.Match(one), m.Match(other)
	if matches && otherMatches {
		return one.OSVersion > other.OSVersion
	}
	return matches && !otherMatches
}
