// Prints the pull policy that the API server gives a container of each image on standard input, in hexadecimal.
package main

import (
	"kip-image-oracle/lines"

	v1 "k8s.io/api/core/v1"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
)

func main() {
	lines.Main(func(line string) (string, error) {
		image, err := lines.Text(line)
		container := v1.Container{Image: image}
		corev1.SetDefaults_Container(&container)
		return string(container.ImagePullPolicy), err
	})
}
