//! Compiled components on disk: a quick start, never a wrong one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use edgelb_tests::backend::Backend;
use edgelb_tests::client;
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::Edgelb;
use edgelb_tests::script::Reply;

/// Serves one request with this cache.
async fn serve(arguments: &[&str], environment: &[(&str, &str)]) {
    let backend = Backend::start(|_| Reply::ok("balanced"));
    let mut edgelb = Edgelb::serve().env("BACKEND_A", backend.url());
    for (name, value) in environment {
        edgelb = edgelb.env(name, *value);
    }
    let edgelb = edgelb.args(arguments.iter().copied()).start().await;
    let response = client::get(edgelb.address, "/").await;
    assert_eq!(response.text(), "balanced");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory);
    let entries = entries.into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A cache that was used once, and its file.
async fn used(directory: &Directory) -> (String, PathBuf) {
    let cache = directory.path().join("cache");
    let name = cache.to_str().unwrap().to_owned();
    serve(&["--cache", &name], &[]).await;
    let files = files(&cache);
    assert_eq!(files.len(), 1, "{files:?}");
    (name, files[0].clone())
}

#[tokio::test]
async fn the_next_start_takes_what_the_first_compiled() {
    let directory = Directory::new();
    let (cache, file) = used(&directory).await;
    assert_eq!(
        fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let before = fs::metadata(&file).unwrap().ino();
    serve(&["--cache", &cache], &[]).await;
    assert_eq!(files(Path::new(&cache)), [file.as_path()]);
    assert_eq!(fs::metadata(&file).unwrap().ino(), before);
}

#[tokio::test]
async fn what_is_damaged_is_compiled_again() {
    let directory = Directory::new();
    let (cache, file) = used(&directory).await;
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let half = whole[..whole.len() / 2].to_vec();
    for damaged in [flipped, half, Vec::new(), b"something else".to_vec()] {
        fs::write(&file, &damaged).unwrap();
        serve(&["--cache", &cache], &[]).await;
        assert!(fs::read(&file).unwrap() == whole, "it was not written anew");
    }
}

#[tokio::test]
async fn what_others_can_write_to_is_not_believed() {
    let directory = Directory::new();
    let (cache, file) = used(&directory).await;
    // What is taken is marked as used.
    let marked = || fs::metadata(&file).unwrap().modified().unwrap();
    let before = marked();
    serve(&["--cache", &cache], &[]).await;
    let trusted = marked();
    assert!(trusted > before);

    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    serve(&["--cache", &cache], &[]).await;
    assert_eq!(marked(), trusted);

    fs::remove_file(&file).unwrap();
    serve(&["--cache", &cache], &[]).await;
    assert_eq!(files(Path::new(&cache)), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn it_lies_where_users_keep_such_things_unless_it_is_off() {
    let directory = Directory::new();
    let home = directory.path().to_str().unwrap().to_owned();
    let environment = [("XDG_CACHE_HOME", home.as_str())];
    serve(&["--cache", "off"], &environment).await;
    let usual = directory.path().join("edgelb");
    assert_eq!(files(&usual), [] as [PathBuf; 0]);
    serve(&[], &environment).await;
    assert_eq!(files(&usual).len(), 1);
}

#[tokio::test]
async fn where_none_can_be_it_serves_all_the_same() {
    serve(&["--cache", "/dev/null/cache"], &[]).await;
}
