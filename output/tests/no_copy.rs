//! Arrays point into the batch, and the batch comes home when the last of them is gone.

use arrow_array::types::UInt64Type;
use collector::batch::{BatchLimits, Values, WorkerId};
use collector::outlet::Outlet;
use collector::schema::{Interest, RecordField, TableId, schemas};
use output::columns::Column;

#[test]
fn numbers_are_not_copied_and_the_batch_comes_home_once() {
    let schemas = schemas(&Interest { kinds: u32::MAX, ..Interest::default() });
    let (mut outlet, drain) = Outlet::new(WorkerId(0), &schemas, 2, BatchLimits { rows: 4, octets: 4_096 });
    let column = schemas[TableId::Flows.index()].field(RecordField::ReceiveTime).unwrap();
    let batch = outlet.batch(TableId::Flows).unwrap();
    batch.push_integer(column, 7);
    batch.finish_rows(1);
    batch.push_absent(column);
    batch.finish_rows(1);
    outlet.publish();

    let lease = drain.take().unwrap();
    let Values::Fixed8(values) = &lease.values[column] else { panic!("receive times have eight octets") };
    let place = values.as_ptr().cast::<u8>();
    let array = Column::new(&lease, column).numbers::<UInt64Type>().unwrap();
    assert_eq!(array.values().inner().as_ptr(), place);
    assert_eq!(array.iter().collect::<Vec<_>>(), [Some(7), None]);

    // One of the two batches is out; only one more can be opened until the array is gone too.
    drop(lease);
    let open = |outlet: &mut Outlet| {
        let mut opened = 0;
        while let Some(batch) = outlet.batch(TableId::Flows) {
            let rows = batch.room();
            batch.finish_rows(rows);
            opened += 1;
        }
        opened
    };
    assert_eq!(open(&mut outlet), 1);
    drop(array);
    assert_eq!(open(&mut outlet), 1);
}
