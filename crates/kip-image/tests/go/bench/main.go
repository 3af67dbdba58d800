// Measures the Go modules. The argument says what, standard input has the inputs, a line each, and the line that is
// printed has how many operations were done and in how many nanoseconds.
//
//	reference    parses texts, in hexadecimal
//	credentials  looks up images, in hexadecimal, in the secrets of the first line (see pullsecrets)
package main

import (
	"bufio"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"fmt"
	"os"
	"time"

	"kip-image-oracle/lines"
	"kip-image-oracle/pullsecrets"

	"github.com/distribution/reference"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

// So long is measured.
const least = time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<24)
	var read []string
	for input.Scan() {
		read = append(read, input.Text())
	}
	if err := input.Err(); err != nil {
		return err
	}
	switch os.Args[1] {
	case "reference":
		return measure(read, func(text string) bool {
			_, err := reference.ParseNormalizedNamed(text)
			return err == nil
		})
	case "credentials":
		passed, err := pullsecrets.Read(read[0])
		if err != nil {
			return err
		}
		keyring, err := secrets.MakeDockerKeyring(passed, &credentialprovider.BasicDockerKeyring{})
		if err != nil {
			return err
		}
		return measure(read[1:], func(image string) bool {
			_, found := keyring.Lookup(image)
			return found
		})
	}
	return fmt.Errorf("there is nothing to measure as %q", os.Args[1])
}

func measure(fields []string, operation func(string) bool) error {
	var inputs []string
	for _, field := range fields {
		text, err := lines.Text(field)
		if err != nil {
			return err
		}
		inputs = append(inputs, text)
	}
	done, succeeded := 0, 0
	began := time.Now()
	for time.Since(began) < least {
		for _, input := range inputs {
			if operation(input) {
				succeeded++
			}
		}
		done += len(inputs)
	}
	_, err := fmt.Println(done, time.Since(began).Nanoseconds(), succeeded*len(inputs)/done)
	return err
}
