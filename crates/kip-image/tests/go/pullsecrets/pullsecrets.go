// Package pullsecrets reads pull secrets from a line.
package pullsecrets

import (
	"fmt"
	"strings"

	"kip-image-oracle/lines"

	v1 "k8s.io/api/core/v1"
)

// Read reads secrets, each as its type, a colon and its data in hexadecimal, with commas between them.
func Read(field string) ([]v1.Secret, error) {
	var passed []v1.Secret
	for _, secret := range strings.Split(field, ",") {
		kind, data, found := strings.Cut(secret, ":")
		if !found {
			return nil, fmt.Errorf("the secret %q has no colon", secret)
		}
		text, err := lines.Text(data)
		if err != nil {
			return nil, err
		}
		passed = append(passed, v1.Secret{
			Type: v1.SecretType(kind),
			Data: map[string][]byte{v1.DockerConfigJsonKey: []byte(text), v1.DockerConfigKey: []byte(text)},
		})
	}
	return passed, nil
}
