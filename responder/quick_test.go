package responder
import ("testing";"net/netip";"encoding/hex")
func BenchmarkQuick(b *testing.B){
 mk:=func() *Responder { r:=New(1); a:=func(s string)[]Range{x:=netip.MustParseAddr(s);return []Range{{x,x}}}
 _,err:=r.Publish([]Interface{{Name:"v0",MAC:[6]byte{2,0,0,0,3,1},Networks:[]netip.Prefix{netip.MustParsePrefix("172.16.3.0/24")},Aliases:[]Alias{{Label:"v0:0",Ranges:a("172.16.3.10")},{Label:"v0:1",Ranges:a("172.16.3.100")},{Label:"v0:2",Ranges:a("172.16.3.101")}}}}); if err!=nil{b.Fatal(err)}; return r}
 arp,_:=hex.DecodeString("ffffffffffff0200000003c8080600010800060400010200000003c8ac1003c8000000000000ac10030a")
 echo,_:=hex.DecodeString("0200000003010200000003c808004500003204d2000040011707ac1003c8ac10030a08007a5b00010001000102030405060708090a0b0c0d0e0f1011121314151617181920")
 // build right echo
 build:=func(n int)[]byte{ f:=append([]byte(nil),echo[:14]...); ip:=make([]byte,20+8+n); putHeader(ip,0,len(ip),1,0,1,0xac1003c8,0xac10030a); m:=ip[20:]; m[0]=8; for i:=8;i<len(m);i++{m[i]=byte(i)}; putChecksum(m[2:],sum(0,m)); return append(f,ip...)}
 for _,c:=range []struct{n string;f []byte}{{"arp",arp},{"echo64",build(64-42)},{"echo98",build(56)},{"echo1514",build(1472)},{"other",append([]byte{2,9,9,9,9,9},arp[6:]...)}}{
 b.Run(c.n,func(b *testing.B){ r:=mk(); w:=r.Worker(0)
  const B=64; bufs:=make([][]byte,B); fr:=make([][]byte,B); for i:=range bufs{bufs[i]=make([]byte,2048)}
  out:=make([][]byte,0,B); b.ReportAllocs(); b.ResetTimer()
  for i:=0;i<b.N;i+=B{ for j:=range fr{ fr[j]=bufs[j][:copy(bufs[j],c.f)] }; out,_=w.Handle(1,fr,nil,out[:0]); }
  b.StopTimer(); if c.n!="other"&&len(out)!=B{b.Fatal(len(out),w.Verdicts()[0])}
 })}
}
