//! Which Kubernetes it is that all the other tests speak of.

use kip_e2e::lab::Cluster;

/// The oldest minor that is tested: that of the feature of k8s-openapi.
const OLDEST: u32 = 33;

#[tokio::test]
async fn the_api_server_is_of_a_version_that_is_supported() {
    let cluster = Cluster::from_env().await.unwrap();
    let version = cluster.client.apiserver_version().await.unwrap();
    println!("the API server is Kubernetes {}", version.git_version);
    let minor: String = version
        .minor
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    assert_eq!(version.major, "1");
    assert!(
        minor.parse::<u32>().is_ok_and(|minor| minor >= OLDEST),
        "{version:?}"
    );
    // hack/run-oldest.sh says which one it has built.
    if let Ok(asked_for) = std::env::var("KIP_KUBERNETES") {
        assert_eq!(version.git_version, asked_for);
        assert_eq!(minor, OLDEST.to_string(), "it is the oldest one");
    }
}
