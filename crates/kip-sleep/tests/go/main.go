// Command durations answers each line of its input, a text in hexadecimal digits, with what
// time.ParseDuration makes of the text: nanoseconds, or one word for the kind of error.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		text, err := hex.DecodeString(lines.Text())
		if err != nil {
			fail(err)
		}
		fmt.Fprintln(out, answer(string(text)))
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
	if err := out.Flush(); err != nil {
		fail(err)
	}
}

func answer(text string) string {
	duration, err := time.ParseDuration(text)
	switch {
	case err == nil:
		return fmt.Sprint(duration.Nanoseconds())
	case strings.HasPrefix(err.Error(), "time: invalid duration "):
		return "Invalid"
	case strings.HasPrefix(err.Error(), "time: missing unit in duration "):
		return "MissingUnit"
	case strings.HasPrefix(err.Error(), "time: unknown unit "):
		return "UnknownUnit"
	default:
		return err.Error()
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "durations:", err)
	os.Exit(1)
}
