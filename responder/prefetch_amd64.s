#include "textflag.h"

// PREFETCHT0 is part of the first amd64. PREFETCHW, which fetches a line to be written
// to, was no faster: no other processor has these lines.

// func prefetchSlots(index []uint32, numbers []uint32)
TEXT ·prefetchSlots(SB), NOSPLIT, $0-48
	MOVQ index_base+0(FP), AX
	MOVQ numbers_base+24(FP), BX
	MOVQ numbers_len+32(FP), CX
	LEAQ (BX)(CX*4), CX
	JMP  check

next:
	MOVL       (BX), DX
	PREFETCHT0 (AX)(DX*4)
	PREFETCHT0 12(AX)(DX*4) // the last of the window, which may lie in the next line
	ADDQ       $4, BX

check:
	CMPQ BX, CX
	JNE  next
	RET

// func prefetchRows(rows []row, numbers []uint32)
TEXT ·prefetchRows(SB), NOSPLIT, $0-48
	MOVQ rows_base+0(FP), AX
	MOVQ numbers_base+24(FP), BX
	MOVQ numbers_len+32(FP), CX
	LEAQ (BX)(CX*4), CX
	JMP  check

next:
	MOVL       (BX), DX
	LEAQ       (DX)(DX*2), DX // a row has 24 bytes
	PREFETCHT0 (AX)(DX*8)
	PREFETCHT0 16(AX)(DX*8)
	ADDQ       $4, BX

check:
	CMPQ BX, CX
	JNE  next
	RET
