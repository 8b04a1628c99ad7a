//! Makes sure that there is a site to embed: when the web part has not been built, a page that says so.

use std::fs;
use std::path::Path;

const PLACEHOLDER: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Oriel: the site is not built</title></head>
<body>
<h1>The site is not in this binary</h1>
<p>This server was built without the web part. This builds both:</p>
<pre>make build</pre>
<p>The interfaces work without it: see <a href="/api/docs">/api/docs</a>.</p>
</body>
</html>
"#;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    let index = dist.join("index.html");
    if !index.exists() {
        let written = fs::create_dir_all(&dist).and_then(|()| fs::write(&index, PLACEHOLDER));
        if let Err(error) = written {
            panic!("cannot write the placeholder page {}: {error}", index.display());
        }
    }
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed=build.rs");
}
