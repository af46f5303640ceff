//! The stores of this crate keep the contract that anybody's store must keep.

mod memory {
    use scrapest_webhook::store::MemoryStore;

    scrapest_webhook::store_contract_tests!(MemoryStore::new());
}
