//! A TLS server that is not ours: `openssl s_server`, with a certificate of its own that it also wants to be shown.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take to listen.
const DEADLINE: Duration = Duration::from_secs(30);

const CERTIFICATE: &str = "\
[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = kip-daemon
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1
";

/// The server; it ends with the value.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    address: String,
}

impl Server {
    /// Makes the certificate and starts the server on a free port of this machine.
    pub(crate) fn start() -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("certificate.cnf"), CERTIFICATE).expect("written");
        let made = openssl(&folder)
            .args([
                "req",
                "-x509",
                "-days",
                "2",
                "-config",
                "certificate.cnf",
                "-nodes",
            ])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-keyout", "key.pem", "-out", "certificate.pem"])
            .output()
            .expect("openssl in PATH (Debian: apt-get install openssl)");
        assert!(made.status.success(), "{}", made.stderr.escape_ascii());
        let log = File::create(folder.join("log")).expect("a file");
        let child = openssl(&folder)
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-www",
                "-Verify",
                "1",
                "-verify_return_error",
            ])
            .args([
                "-cert",
                "certificate.pem",
                "-key",
                "key.pem",
                "-CAfile",
                "certificate.pem",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("openssl in PATH (Debian: apt-get install openssl)");
        let mut server = Self {
            child,
            folder,
            address: String::new(),
        };
        let start = Instant::now();
        server.address = loop {
            let said = server.said();
            if let Some(address) = said.lines().find_map(|line| line.strip_prefix("ACCEPT ")) {
                break address.to_owned();
            }
            assert!(start.elapsed() < DEADLINE, "it does not listen: {said}");
            thread::yield_now();
        };
        server
    }

    /// The value of `KUBECONFIG` that leads there.
    pub(crate) fn kubeconfig(&self) -> String {
        let path = self.folder.join("kubeconfig");
        let (folder, address) = (self.folder.display(), &self.address);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: here, cluster: {{server: 'https://{address}', certificate-authority: '{folder}/certificate.pem'}}}}]\n\
             contexts: [{{name: here, context: {{cluster: here, user: me}}}}]\n\
             users: [{{name: me, user: {{client-certificate: '{folder}/certificate.pem', client-key: '{folder}/key.pem'}}}}]\n"
        );
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// What it has said until now.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("it can be read")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either fails only for a process that has ended already; left over in the build folder, nothing harms.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn openssl(folder: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder);
    command
}
