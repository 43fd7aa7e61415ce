//! Version information of `tidegate_worker.dll`.

fn main() -> std::io::Result<()> {
    tidegate_resource::embed_in_library("tidegate_worker")
}
